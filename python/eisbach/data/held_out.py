"""Which conversations are held out for validation."""

from __future__ import annotations

import hashlib
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.data.token_files import TokenFile

if TYPE_CHECKING:
    from eisbach.data.tokenizer import Tokenizer


class HeldOut:
    """Token files with masks, from one pass over conversations.

    Whole conversations are held out: those whose names have the least hashes,
    so many that they are the share that was asked for, one at least.
    """

    def __init__(self, folder: Path, tokenizer: Tokenizer, share: float):
        """Makes the files.

        Args:
          folder: Where to write `train` and, for a share, `validation`.
          tokenizer: Made the tokens.
          share: Of the conversations that are held out.
        """
        self._folder = folder
        self._tokenizer = tokenizer
        self._share = share
        self.all = self._file("all" if share else "train")
        # Of each document: the hash of its conversation and the text's length.
        self._hash = array("Q")
        self._bytes = array("q")

    def _file(self, name: str) -> TokenFile:
        return TokenFile(self._folder / name, self._tokenizer, masked=True)

    def add(self, key: str, tokens: object, mask: object, size: int) -> None:
        """Adds a document of the conversation of this name."""
        self.all.add(tokens, mask, size)
        if self._share:
            head = hashlib.sha256(key.encode()).digest()[:8]
            self._hash.append(int.from_bytes(head, "big"))
            self._bytes.append(size)

    def finish(self) -> list[TokenFile]:
        """Returns the files: training, and validation where there is a share.

        Raises:
          ValueError: There are too few conversations to hold one out.
        """
        if not self._share:
            return [self.all]
        from eisbach import _C

        names = sorted(set(self._hash))
        count = max(1, round(self._share * len(names)))
        if len(names) <= count:
            raise ValueError(
                f"{len(names)} conversations are too few to hold one out "
                "(--validation, data.validation)"
            )
        least = names[count - 1]
        self.all.close()
        source = _C.TokenFile(str(self.all.prefix))
        files = [self._file("train"), self._file("validation")]
        for number, (name, size) in enumerate(
            zip(self._hash, self._bytes, strict=True)
        ):
            files[name <= least].add(source[number], source.mask(number), size)
        return files
