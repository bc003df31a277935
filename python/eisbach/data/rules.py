"""What begins and ends a document in tokens, and how it is remembered."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eisbach.files import make_folder, read_regular, write_atomically

if TYPE_CHECKING:
    from eisbach.data.new_tokens import NewTokens
    from eisbach.data.tokenizer import Tokenizer

# What token files are described by; far more than any needs.
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class DocumentRules:
    """How the text of a document becomes its tokens.

    Attributes:
      end_of_document: The id after each document; None for none.
      begin_of_document: The ids before each document; mostly one or none.
      special_tokens: What becomes of the name of a special token, such as
        `<|endoftext|>`, where it stands in a text: `text` keeps it text,
        `tokens` makes it that token.
    """

    end_of_document: int | None = None
    begin_of_document: tuple[int, ...] = ()
    special_tokens: Literal["text", "tokens"] = "text"


@dataclass(frozen=True)
class Marking:
    """How conversations became documents.

    Attributes:
      shape: Of the records.
      template: Digest of the chat template; empty where none was needed.
      train_on: What was marked as trained.
    """

    shape: str
    template: str
    train_on: str


@dataclass(frozen=True)
class TokenFileInfo:
    """What `PREFIX.json` says about a token file.

    Attributes:
      tokenizer: Digest of the tokenizer that made it.
      vocab: Size of that tokenizer's vocabulary.
      documents: How many.
      tokens: How many, begins and ends of documents included.
      bytes: Length of the text, as UTF-8.
      rules: How documents became tokens; None in files that say nothing.
      source: Names of the files and folders that the text is from.
      encodings: How many files were in which character encoding.
      trained: How many tokens are, where there is a mask; else None.
      marked: How conversations became documents; None for texts.
    """

    tokenizer: str
    vocab: int
    documents: int
    tokens: int
    bytes: int
    rules: DocumentRules | None = None
    source: tuple[str, ...] = ()
    encodings: dict[str, int] | None = None
    trained: int | None = None
    marked: Marking | None = None

    def as_json(self) -> str:
        """Returns the text of `PREFIX.json`."""
        import json

        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def read_info(prefix: str | os.PathLike[str]) -> TokenFileInfo | None:
    """Reads `PREFIX.json`; None where other tools wrote the token file.

    Raises:
      ValueError: The file is damaged.
    """
    path = Path(f"{os.fspath(prefix)}.json")
    if not os.path.lexists(path):
        return None
    return _parse(path, TokenFileInfo)


def common_rules(
    infos: Sequence[tuple[str, TokenFileInfo | None]],
) -> DocumentRules | None:
    """Returns the rules that token files share; None where none tells.

    Args:
      infos: Name of each file and what is known about it.

    Raises:
      ValueError: Two files disagree.
    """
    telling = [
        (name, info.rules) for name, info in infos if info and info.rules
    ]
    for name, rules in telling[1:]:
        first_name, first = telling[0]
        for key, value in asdict(rules).items():
            other = getattr(first, key)
            if other != value:
                raise ValueError(
                    f"{first_name} was prepared with {key}={_spell(other)}, "
                    f"{name} with {key}={_spell(value)}: a run needs one "
                    "rule; prepare one of them again as the other was"
                )
    return telling[0][1] if telling else None


def store_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    """Writes `tokenizer.json` (none for bytes) and `documents.json`.

    Together they are all that a prompt needs to become tokens in the way of
    the training text: see `stored_tokenizer`. Beside them are the files that
    say how conversations are written.
    """
    import json

    text = tokenizer.source_text
    if text is not None:
        write_atomically(folder / "tokenizer.json", text)
    for name, content in tokenizer.beside.items():
        make_folder((folder / name).parent)
        write_atomically(folder / name, content)
    facts = {"tokenizer": tokenizer.digest, **asdict(tokenizer.rules)}
    write_atomically(
        folder / "documents.json", json.dumps(facts, indent=1) + "\n"
    )


def stored_tokenizer(
    folder: Path, added: NewTokens | None = None
) -> Tokenizer | None:
    """Reads what `store_tokenizer` wrote; None where nothing is.

    Args:
      folder: That it wrote to.
      added: Tokens that it gets besides.

    Raises:
      ValueError: A file is missing or damaged, `tokenizer.json` is not the
        one that was stored, or cannot have the tokens.
    """
    from eisbach.data.template_files import files_beside
    from eisbach.data.tokenizer import BYTES, load_tokenizer

    path = folder / "documents.json"
    if not path.is_file():
        return None
    stored = _parse(path, _Stored)
    rules = DocumentRules(
        stored.end_of_document, stored.begin_of_document, stored.special_tokens
    )
    at_bytes = stored.tokenizer == BYTES
    name = BYTES if at_bytes else str(folder / "tokenizer.json")
    tokenizer = load_tokenizer(name, rules=rules)
    if tokenizer.digest != stored.tokenizer:
        raise ValueError(
            f"{name}: is not the tokenizer that {path} was written with"
        )
    if added:
        return load_tokenizer(name, added=added, rules=rules)
    tokenizer.beside = files_beside(folder)
    return tokenizer


@dataclass(frozen=True)
class _Stored(DocumentRules):
    tokenizer: str = ""


def _parse(path: Path, kind: type):
    import pydantic

    try:
        return pydantic.TypeAdapter(kind).validate_json(
            read_regular(path, most=_MOST_BYTES)
        )
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"{path}: damaged: {where + ': ' if where else ''}{first['msg']}"
        ) from None


def _spell(value: object) -> str:
    if value in (None, ()):
        return "none"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)
