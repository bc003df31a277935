"""`eisbach data`: token files."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    help="Make token files.",
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
        Literal["stop", "skip"],
        typer.Option(help="What to do about records that have no text."),
    ] = "stop",
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

    * `zcat news.csv.gz | eisbach data prepare - --format csv --field body --output data/news`
    """  # noqa: D412, E501
    from eisbach.data.documents import Documents
    from eisbach.data.prepare import (
        output_prefix,
        prepare,
        prepare_default,
        report,
    )
    from eisbach.data.rules import read_info
    from eisbach.data.token_files import PlaceError
    from eisbach.data.tokenizer import load_tokenizer
    from eisbach.data.workers import default_processes
    from eisbach.meter import Meter

    made_by = load_tokenizer(
        tokenizer,
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
    if not output:
        raise ValueError("give the prefix to write: --output data/NAME")
    documents = Documents(
        inputs,
        patterns=pattern or (),
        kind=format,
        field=field,
        encoding=encoding,
        skips_bad=bad_lines == "skip",
        pipes=True,
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
            done = prepare(
                prefix,
                documents,
                made_by,
                name=" ".join(map(str, inputs)),
                share=validation,
                source=[path.name or str(path) for path in inputs],
                encodings=documents.reading.encodings,
                processes=processes or default_processes(),
                progress=lambda: meter.show(documents.reading.bytes),
                note=meter.say,
            )
    except PlaceError as error:
        raise ValueError(f"{error}; take another --output") from None
    for line in documents.records.notes():
        print(line)
    for line in done.lines():
        print(line)
