"""Section `data`: token files and the tokenizer that made them."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import Auto, Positive, Section, Text, key


class SourceSection(Section):
    """One token file of a mixture."""

    path: Text = key(
        ..., "Prefix of a `.bin` / `.idx` pair, seen from the working folder."
    )
    weight: Positive = key(
        1.0, "Share of the samples, relative to the other sources."
    )


Sources = Annotated[list[SourceSection], Field(min_length=1)]


class DataSection(Section):
    """Token files and the tokenizer that made them."""

    train: Auto | Text | Sources = key(
        "auto",
        "Training text: a prefix of `.bin` / `.idx` files or a list of them "
        "with weights. `auto`: Python's own standard library, prepared once.",
    )
    validation: Literal["auto", "none"] | Text | Sources = key(
        "auto",
        "Validation text. `auto`: the part of the standard library that "
        "training leaves out.",
    )
    tokenizer: Text = key(
        "bytes", "`bytes`, or the path of a Hugging Face `tokenizer.json`."
    )
