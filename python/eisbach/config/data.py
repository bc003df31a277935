"""Section `data`: token files and the tokenizer that made them."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import Auto, FilePath, Positive, Section, key


class SourceSection(Section):
    """One token file of a mixture."""

    path: FilePath = key(
        ...,
        "Prefix of a `.bin` / `.idx` pair, or a text or folder of texts, seen "
        "from the working folder.",
    )
    weight: Positive = key(
        1.0, "Share of the samples, relative to the other sources."
    )


Sources = Annotated[list[SourceSection], Field(min_length=1)]


class DataSection(Section):
    """Token files and the tokenizer that made them."""

    train: Auto | FilePath | Sources = key(
        "auto",
        "Training text: a prefix of `.bin` / `.idx` files, a text file, a "
        "folder of texts, or a list of them with weights. Texts are prepared "
        "once and kept in the cache folder; `eisbach data prepare` has more "
        "options. `auto`: Python's own standard library.",
    )
    validation: Literal["auto", "none"] | FilePath | Sources = key(
        "auto",
        "Validation text. `auto`: a twentieth of the training text, held out "
        "from it where the run prepares it itself.",
    )
    tokenizer: FilePath = key(
        "bytes",
        "`bytes`, or the path of a Hugging Face `tokenizer.json` or its "
        "folder.",
    )
