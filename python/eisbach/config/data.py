"""Section `data`: token files and the tokenizer that made them."""

from typing import Annotated, Literal

from pydantic import Field

from eisbach.config.section import (
    Auto,
    Count,
    FilePath,
    Positive,
    Section,
    Text,
    key,
)

# `eisbach.data.conversations.Shape` is the same.
Shape = Literal[
    "auto", "text", "chat", "completion", "alpaca", "sharegpt", "preference"
]


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
    documents: Literal["auto", "joined", "separate"] = key(
        "auto",
        "`joined`: documents follow one another in a stream that rows are cut "
        "from. `separate`: they are packed into rows in which none sees "
        "another, and none is cut but one longer than a row. `auto`: separate "
        "where token files have a mask of what is trained, as those of "
        "conversations have, else joined.",
    )
    shape: Shape = key(
        "auto",
        "What records of `.jsonl`, `.json`, `.csv` and `.parquet` hold: a "
        "`text`; a `chat` (`messages` as OpenAI has them); a `prompt` and its "
        "`completion`; `alpaca` (`instruction`, `input`, `output`); `sharegpt` "
        "(`conversations` with `from` and `value`); a `preference` (`prompt`, "
        "`chosen`, `rejected`). `auto` goes by the fields of the first record, "
        "and where `train.objective` is `dpo` it is the last.",
    )
    columns: list[Text] = key(
        [],
        "Fields of records that have other names, as in `messages=dialogue`.",
    )
    template: Auto | FilePath = key(
        "auto",
        "Chat template that writes conversations, and that the exported model "
        "gets: that of the tokenizer's folder, `chatml`, or the path of a "
        "Jinja file, of a `tokenizer_config.json` or of a folder.",
    )
    train_on: Literal["assistant", "completion", "all", "last"] = key(
        "assistant",
        "What of a conversation is trained: all that the `assistant` says; the "
        "`completion`, what it says after the user's last turn; its `last` "
        "turn; or `all` tokens.",
    )
    max_tokens: Literal["none"] | Count = key(
        "none",
        "Tokens at which a conversation is cut off.",
    )
