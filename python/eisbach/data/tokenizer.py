"""Tokenizers: bytes, and Hugging Face `tokenizer.json` files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BYTES = "bytes"
# Names under which tokenizers keep the token that ends a document.
_END_NAMES = (
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<|end▁of▁sentence|>",
    "[EOS]",
)
_BATCH = 256


class Tokenizer(Protocol):
    """What training, sampling and preparation need to know of a tokenizer.

    Attributes:
      name: `bytes`, or the path of the file.
      vocab: One more than the largest token id.
      end_of_document: The id that ends a document; None if there is none.
      digest: Identifies the mapping; equal digests mean equal tokens.
    """

    name: str
    vocab: int
    end_of_document: int | None
    digest: str

    def encode(self, text: bytes) -> NDArray[np.integer]:
        """Returns the tokens of one text, without an end of document."""
        ...

    def encode_all(
        self, texts: Iterable[bytes]
    ) -> Iterator[NDArray[np.integer]]:
        """Yields the tokens of each text, on all cores where it can."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Returns the text of tokens; what is no text becomes U+FFFD."""
        ...


class ByteTokenizer:
    """Each byte is a token; there is no end of document."""

    name = BYTES
    vocab = 256
    end_of_document = None
    digest = BYTES

    def encode(self, text: bytes) -> NDArray[np.uint8]:
        """Returns the bytes."""
        return np.frombuffer(text, dtype=np.uint8)

    def encode_all(self, texts: Iterable[bytes]) -> Iterator[NDArray[np.uint8]]:
        """Yields the bytes of each text."""
        return map(self.encode, texts)

    def decode(self, tokens: Sequence[int]) -> str:
        """Reads the tokens as UTF-8."""
        return bytes(tokens).decode("utf-8", errors="replace")


class FileTokenizer:
    """A Hugging Face `tokenizer.json`, read by the `tokenizers` library."""

    def __init__(self, path: str, *, end_of_document: str | None = None):
        """Reads the file.

        Args:
          path: The `tokenizer.json`.
          end_of_document: The token that ends a document; None looks for a
            usual name such as `<|endoftext|>`.

        Raises:
          ValueError: The file is missing or is no tokenizer, or has no token
            called `end_of_document`.
        """
        import tokenizers

        self.name = path
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise ValueError(
                f"{path}: {error.strerror}; give `bytes` or the path of a "
                "tokenizer.json (data.tokenizer)"
            ) from None
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(content.decode())
        except Exception as error:  # the library raises bare Exception
            raise ValueError(
                f"{path}: no Hugging Face tokenizer.json: {error} "
                "(data.tokenizer)"
            ) from None
        self.digest = hashlib.sha256(content).hexdigest()
        known = self._tokenizer.get_vocab(with_added_tokens=True)
        self.vocab = max(known.values()) + 1
        if end_of_document and end_of_document not in known:
            raise ValueError(f"{path}: has no token {end_of_document!r}")
        names = [end_of_document] if end_of_document else _END_NAMES
        self.end_of_document = next(
            (known[name] for name in names if name in known), None
        )

    @property
    def _dtype(self) -> type[np.integer]:
        return np.uint16 if self.vocab <= 2**16 else np.int32

    def encode(self, text: bytes) -> NDArray[np.integer]:
        """Returns the tokens, without the special ones of a template."""
        return next(iter(self.encode_all([text])))

    def encode_all(
        self, texts: Iterable[bytes]
    ) -> Iterator[NDArray[np.integer]]:
        """Yields the tokens of each text, a batch of texts at a time."""
        batch: list[str] = []
        for text in texts:
            batch.append(text.decode("utf-8", errors="replace"))
            if len(batch) == _BATCH:
                yield from self._encode_batch(batch)
                batch = []
        yield from self._encode_batch(batch)

    def _encode_batch(self, batch: list[str]) -> Iterator[NDArray[np.integer]]:
        for found in self._tokenizer.encode_batch(
            batch, add_special_tokens=False
        ):
            yield np.asarray(found.ids, dtype=self._dtype)

    def decode(self, tokens: Sequence[int]) -> str:
        """Returns the text, special tokens included."""
        return self._tokenizer.decode(
            [int(t) for t in tokens], skip_special_tokens=False
        )


def load_tokenizer(
    name: str, *, end_of_document: str | None = None
) -> Tokenizer:
    """Returns the tokenizer called `bytes`, or the one in a file.

    Raises:
      ValueError: The file cannot be used, or an end of document is asked of
        a tokenizer that has none.
    """
    if name != BYTES:
        return FileTokenizer(name, end_of_document=end_of_document)
    if end_of_document:
        raise ValueError(
            f"the bytes tokenizer has no token {end_of_document!r}"
        )
    return ByteTokenizer()
