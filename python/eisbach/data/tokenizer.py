"""Tokenizers: what runs need to know of them, and the one of bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from eisbach.data.decoding import decode_known
from eisbach.data.new_tokens import NewTokens
from eisbach.data.rules import DocumentRules

if TYPE_CHECKING:
    from numpy.typing import NDArray

BYTES = "bytes"


class Tokenizer(Protocol):
    """What training, sampling and preparation need to know of a tokenizer.

    Attributes:
      name: `bytes`, or the path of the file.
      vocab: One more than the largest token id.
      digest: Identifies the mapping; equal digests mean equal tokens.
      rules: What begins and ends a document.
      source_text: The text of its file; None where there is none.
      beside: Texts of the files beside it, by name, that say how conversations
        are written: `chat_template.jinja` and what templates ask for.
      added: Tokens that its file has not.
      first_added: The id of the first of them, or where it would be.
    """

    name: str
    vocab: int
    digest: str
    rules: DocumentRules
    source_text: str | None
    beside: dict[str, str]
    added: NewTokens

    @property
    def first_added(self) -> int:
        """The id of the first new token, or where it would be."""
        ...

    @property
    def key(self) -> str:
        """Identifies what text becomes, rules included."""
        ...

    @property
    def end_of_document(self) -> int | None:
        """The id that ends a document; None if there is none."""
        ...

    @property
    def begin_of_document(self) -> tuple[int, ...]:
        """The ids that begin a document, mostly one or none."""
        ...

    def __contains__(self, text: str) -> bool:
        """Whether a text is the name of a token."""
        ...

    def encode(self, text: bytes) -> NDArray[np.integer]:
        """Returns the tokens of a text, without begin and end."""
        ...

    def prompt(self, text: str) -> list[int]:
        """Returns the tokens of the start of a document, begin included."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Returns the text of tokens.

        What is no text becomes U+FFFD; an id without a token, such as 300 of
        bytes, becomes `<300>`.
        """
        ...


class RuledTokenizer:
    """What follows from the rules alone."""

    rules: DocumentRules

    @property
    def end_of_document(self) -> int | None:
        """The id that ends a document; None if there is none."""
        return self.rules.end_of_document

    @property
    def begin_of_document(self) -> tuple[int, ...]:
        """The ids that begin a document, mostly one or none."""
        return self.rules.begin_of_document

    @property
    def key(self) -> str:
        """Identifies what text becomes, rules included."""
        facts = f"{self.digest} {self.rules}"
        return hashlib.sha256(facts.encode()).hexdigest()

    def prompt(self, text: str) -> list[int]:
        """Returns the tokens of the start of a document, begin included."""
        found = self.encode(text.encode())
        return [*self.begin_of_document, *np.asarray(found).tolist()]


class ByteTokenizer(RuledTokenizer):
    """Each byte is a token; documents neither begin nor end."""

    name = BYTES
    vocab = 256
    digest = BYTES
    source_text = None
    added = NewTokens()
    first_added = 256

    def __init__(self, rules: DocumentRules | None = None):
        self.rules = rules or DocumentRules()
        self.beside: dict[str, str] = {}

    def __contains__(self, text: str) -> bool:
        """Whether a text is the name of a token: none has one."""
        return False

    def encode(self, text: bytes) -> NDArray[np.uint8]:
        """Returns the bytes."""
        return np.frombuffer(text, dtype=np.uint8)

    def decode(self, tokens: Sequence[int]) -> str:
        """Reads the tokens as UTF-8."""
        return decode_known(
            tokens,
            range(self.vocab),
            lambda ids: bytes(ids).decode("utf-8", errors="replace"),
        )


def load_tokenizer(
    name: str,
    *,
    added: NewTokens | None = None,
    rules: DocumentRules | None = None,
    end_of_document: str | None = None,
    begin_of_document: str = "auto",
    special_tokens: str = "text",
) -> Tokenizer:
    """Returns the tokenizer called `bytes`, or the one in a file.

    Args:
      name: `bytes`, the path of a `tokenizer.json`, or a folder that holds
        one.
      added: Tokens that it gets besides.
      rules: As recorded with prepared text; None makes them of what follows.
      end_of_document: The token that ends a document; None looks for a usual
        name such as `<|endoftext|>`.
      begin_of_document: The token that begins a document; `auto`: what the
        template of the tokenizer puts before a text; `none`.
      special_tokens: `text` or `tokens`, see `DocumentRules`.

    Raises:
      ValueError: The file cannot be used, has no such token, or cannot have
        new ones.
    """
    if name != BYTES or added:
        from eisbach.data.file_tokenizer import FileTokenizer

        found = FileTokenizer(name, added)
        if rules is None:
            rules = found.choose(
                end_of_document, begin_of_document, special_tokens
            )
        return found.with_rules(rules)
    wanted = [end_of_document]
    if begin_of_document not in ("auto", "none"):
        wanted.append(begin_of_document)
    for token in filter(None, wanted):
        raise ValueError(f"the bytes tokenizer has no token {token!r}")
    return ByteTokenizer(rules)
