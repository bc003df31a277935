"""Section `data`: token files and the tokenizer that made them."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import Auto, FilePath, Positive, Section, key


class SourceSection(Section):
    """One token file of a mixture."""

    path: FilePath = key(
        ..., "Prefix of a `.bin` / `.idx` pair, seen from the working folder."
    )
    weight: Positive = key(
        1.0, "Share of the samples, relative to the other sources."
    )


Sources = Annotated[list[SourceSection], Field(min_length=1)]


class DataSection(Section):
    """Token files and the tokenizer that made them."""

    train: Auto | FilePath | Sources = key(
        "auto",
        "Training text: a prefix of `.bin` / `.idx` files or a list of them "
        "with weights. `auto`: Python's own standard library, prepared once.",
    )
    validation: Literal["auto", "none"] | FilePath | Sources = key(
        "auto",
        "Validation text. `auto`: the part of the standard library that "
        "training leaves out.",
    )
    tokenizer: FilePath = key(
        "bytes", "`bytes`, or the path of a Hugging Face `tokenizer.json`."
    )
