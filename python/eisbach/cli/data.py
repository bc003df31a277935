"""`eisbach data`: token files."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    help="Make token files and look at them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.callback()
def _group() -> None:
    pass


@app.command("prepare")
def prepare(
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Text files (a document each), folders of them, files of "
            "records (`.jsonl`, `.json`, `.csv`, `.parquet`: a document a "
            "record), all of them packed or not, and `-` for the standard "
            "input. None prepares the sources of Python's standard library.",
        ),
    ] = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option(help="Prefix of the `.bin` and `.idx` to write."),
    ] = None,
    tokenizer: Annotated[
        str,
        typer.Option(
            help="`bytes`, or a Hugging Face `tokenizer.json` or its folder."
        ),
    ] = "bytes",
    add_token: Annotated[
        list[str] | None,
        typer.Option(
            help="A text that becomes a token, as in `model.add_tokens`; may "
            "be given several times.",
        ),
    ] = None,
    add_special_token: Annotated[
        list[str] | None,
        typer.Option(
            help="The same of a special token: `model.add_special_tokens`."
        ),
    ] = None,
    end_of_document: Annotated[
        str | None,
        typer.Option(
            help="Token that ends each document; without it the tokenizer's "
            "own, or a usual name such as `<|endoftext|>`.",
        ),
    ] = None,
    begin_of_document: Annotated[
        str,
        typer.Option(
            help="Token before each document: a name, `none`, or `auto`, "
            "which takes what the tokenizer's own template puts before a text.",
        ),
    ] = "auto",
    special_tokens: Annotated[
        Literal["text", "tokens"],
        typer.Option(
            help="What becomes of `<|endoftext|>` and the like where they "
            "stand in a text: they stay text, or become those tokens.",
        ),
    ] = "text",
    validation: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.5,
            help="Share of the text to hold out, in OUTPUT-validation: whole "
            "documents, by their names; where they are too few for that, the "
            "last part of each.",
        ),
    ] = 0.0,
    pattern: Annotated[
        list[str] | None,
        typer.Option(
            help="Which files are taken from folders, as in `*.tex`; may be "
            "given several times. Without it: .txt .md .rst .py .html and "
            "files of records."
        ),
    ] = None,
    format: Annotated[
        Literal["auto", "text", "jsonl", "json", "csv", "parquet"],
        typer.Option(
            "--format",
            help="Of all inputs; `auto` goes by their names, and takes the "
            "standard input as one text.",
        ),
    ] = "auto",
    field: Annotated[
        str, typer.Option(help="Field or column of a record with the text.")
    ] = "text",
    encoding: Annotated[
        str,
        typer.Option(
            help="Of files without a byte order mark, such as `latin-1`; "
            "`auto` is UTF-8."
        ),
    ] = "auto",
    bad_lines: Annotated[
        Literal["auto", "stop", "skip"],
        typer.Option(
            help="What to do about records that are damaged or have no text: "
            "`auto` stops, and leaves out what is no conversation.",
        ),
    ] = "auto",
    shape: Annotated[
        Literal[
            "auto",
            "text",
            "chat",
            "completion",
            "alpaca",
            "sharegpt",
            "preference",
        ],
        typer.Option(
            help="What records hold: see `data.shape` of the configuration, "
            "as the options below are keys of `data`, too.",
        ),
    ] = "auto",
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="A field that has another name, as in "
            "`messages=dialogue`; may be given several times."
        ),
    ] = None,
    template: Annotated[
        str,
        typer.Option(
            help="Chat template: `auto` takes that of the tokenizer's folder; "
            "or `chatml`, or the path of one."
        ),
    ] = "auto",
    train_on: Annotated[
        Literal["assistant", "completion", "all", "last"],
        typer.Option(help="What of a conversation is trained."),
    ] = "assistant",
    max_tokens: Annotated[
        int | None,
        typer.Option(min=2, help="Where a conversation is cut off."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How many make tokens, about 150 MB of memory each; without "
            "it one a core.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that exist.")
    ] = False,
) -> None:
    """Turn text into token files, in Megatron's `.bin` / `.idx` format.

    Examples:

    * `eisbach data prepare` (Python's standard library as bytes, once)

    * `eisbach data prepare books/ --output data/books --validation 0.01`

    * `eisbach data prepare web.jsonl.gz --output data/web --tokenizer tokenizer.json`

    * `eisbach data prepare src/ --pattern "*.c" --pattern "*.h" --output data/c`

    * `eisbach data prepare old.txt --encoding latin-1 --output data/old`

    * `eisbach data prepare chats.jsonl --output data/chats --tokenizer MODEL`

    * `zcat news.csv.gz | eisbach data prepare - --format csv --field body --output data/news`
    """  # noqa: D412, E501
    from eisbach.data.chat_records import (
        ChatOptions,
        chat_documents,
        detect_shape,
    )
    from eisbach.data.chats import chat_tokenizer, prepare_chats, template_for
    from eisbach.data.conversations import parse_columns
    from eisbach.data.documents import Documents
    from eisbach.data.new_tokens import NewTokens
    from eisbach.data.prepare import (
        output_prefix,
        prepare,
        prepare_default,
        report,
    )
    from eisbach.data.rules import read_info
    from eisbach.data.template_files import take_template
    from eisbach.data.token_files import PlaceError
    from eisbach.data.tokenizer import load_tokenizer
    from eisbach.data.workers import default_processes
    from eisbach.meter import Meter

    if inputs and not output:
        raise ValueError("give the prefix to write: --output data/NAME")
    columns = parse_columns(column or ())
    chat = None
    if inputs and shape == "auto":
        shape = "text"
        if field == "text":
            shape = detect_shape(
                inputs,
                columns,
                patterns=pattern or (),
                kind=format,
                encoding=encoding,
            )
    if inputs and shape not in ("auto", "text"):
        chat = ChatOptions(shape, columns, train_on, max_tokens)
    # Options that mean nothing for what is read.
    idle = {
        "--column": bool(column),
        "--template": template != "auto",
        "--train-on": train_on != "assistant",
        "--max-tokens": max_tokens is not None,
    }
    what, other = "conversations", "texts"
    if chat:
        idle = {"--field": field != "text"}
        what, other = other, what
    for option, given in idle.items():
        if given:
            raise ValueError(
                f"{option} is about {what}, and these are {other}; --shape "
                "says what records hold"
            )
    made_by = load_tokenizer(
        tokenizer,
        added=NewTokens(tuple(add_token or ()), tuple(add_special_token or ())),
        end_of_document=end_of_document,
        begin_of_document=begin_of_document,
        special_tokens=special_tokens,
    )
    if not inputs:
        if output:
            raise ValueError(
                "--output needs input files; without any, the standard "
                "library is prepared where `data.train: auto` looks for it"
            )
        for prefix in prepare_default(made_by):
            print(report(prefix, read_info(prefix)))
        return
    found = {
        "patterns": pattern or (),
        "kind": format,
        "encoding": encoding,
        "pipes": True,
    }
    if chat:
        take_template(made_by, template)
        made_by = chat_tokenizer(made_by)
        written_by = template_for(chat, made_by)
        documents = chat_documents(
            inputs, chat, stops=bad_lines == "stop", **found
        )
    else:
        documents = Documents(
            inputs, field=field, skips_bad=bad_lines == "skip", **found
        )
    prefix = output_prefix(
        output, inputs=documents.inputs, share=validation, replaces=force
    )
    for line in documents.inputs.notes:
        print(line)
    # A signal must not leave files that are half written; nohup's stays.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        with Meter(documents.inputs.bytes) as meter:
            told = {
                "name": " ".join(map(str, inputs)),
                "share": validation,
                "source": [path.name or str(path) for path in inputs],
                "processes": processes or default_processes(),
                "progress": lambda: meter.show(documents.reading.bytes),
            }
            if chat:
                done = prepare_chats(
                    prefix,
                    documents,
                    made_by,
                    options=chat,
                    template=written_by,
                    **told,
                )
            else:
                done = prepare(
                    prefix,
                    documents,
                    made_by,
                    encodings=documents.reading.encodings,
                    note=meter.say,
                    **told,
                )
    except PlaceError as error:
        raise ValueError(f"{error}; take another --output") from None
    if not chat:
        for line in documents.records.notes():
            print(line)
    for line in done.lines():
        print(line)


@app.command("show")
def show(
    path: Annotated[
        Path, typer.Argument(help="Folder of a run, or prefix of token files.")
    ],
    *,
    samples: Annotated[
        int, typer.Option(min=1, help="Documents to show, spread over all.")
    ] = 10,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            help="That made a token file: `bytes`, or the path of a "
            "`tokenizer.json` or its folder. A run has its own."
        ),
    ] = None,
    color: Annotated[
        Literal["auto", "always", "never"],
        typer.Option(
            help="`auto`: where the output is a terminal. Without it what is "
            "trained stands between >> and <<."
        ),
    ] = "auto",
) -> None:
    """Show documents as text, and which of it is trained.

    Examples:

    * `eisbach data show runs/tuned`

    * `eisbach data show data/chats --tokenizer MODEL --samples 3`
    """  # noqa: D412
    from eisbach.data.showing import shown, token_files_of

    colored = color == "always" or (color == "auto" and sys.stdout.isatty())
    prefixes, made_by = token_files_of(path, tokenizer)
    for prefix in prefixes:
        for line in shown(prefix, made_by, samples=samples, colored=colored):
            print(line)
