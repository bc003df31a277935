"""`eisbach data`: token files."""

from __future__ import annotations

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
            help="Text files (a document each), folders of them, `.jsonl` "
            "files (a document a line). None prepares the sources of "
            "Python's standard library.",
        ),
    ] = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option(help="Prefix of the `.bin` and `.idx` to write."),
    ] = None,
    tokenizer: Annotated[
        str,
        typer.Option(help="`bytes`, or a Hugging Face `tokenizer.json`."),
    ] = "bytes",
    end_of_document: Annotated[
        str | None,
        typer.Option(
            help="Token that ends each document; without it a usual name "
            "such as `<|endoftext|>` is looked for in the tokenizer.",
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
            help="Share of the documents to hold out, by their names, in "
            "OUTPUT-validation.",
        ),
    ] = 0.0,
    pattern: Annotated[
        str, typer.Option(help="Names of files taken from folders.")
    ] = "*.txt",
    field: Annotated[
        str, typer.Option(help="Field of a JSON line that holds the text.")
    ] = "text",
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that exist.")
    ] = False,
) -> None:
    """Turn text into token files, in Megatron's `.bin` / `.idx` format.

    Examples:

    * `eisbach data prepare` (Python's standard library as bytes, once)

    * `eisbach data prepare books/ --output data/books --validation 0.01`

    * `eisbach data prepare web.jsonl --output data/web --tokenizer tokenizer.json`
    """  # noqa: D412, E501
    from eisbach.data.corpus import is_validation
    from eisbach.data.documents import documents
    from eisbach.data.prepare import (
        prepare_default,
        write_token_file,
    )
    from eisbach.data.rules import read_info
    from eisbach.data.tokenizer import load_tokenizer

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
            print(_line(prefix, read_info(prefix)))
        return
    if not output:
        raise ValueError("give the prefix to write: --output data/NAME")
    parts = {output: False}
    if validation:
        parts[output.with_name(f"{output.name}-validation")] = True
    for prefix in parts:
        if Path(f"{prefix}.idx").exists() and not force:
            raise ValueError(
                f"{prefix}.idx exists; --force replaces it, another --output "
                "keeps it"
            )
    for prefix, held_out in parts.items():
        found = documents(inputs, pattern=pattern, field=field)
        texts = (
            text
            for name, text in found
            if is_validation(name, validation) == held_out
        )
        print(_line(prefix, write_token_file(prefix, texts, made_by)))


def _line(prefix, info) -> str:
    return (
        f"{prefix}: {info.documents:,} documents, {info.tokens:,} tokens, "
        f"{info.bytes:,} bytes"
    )
