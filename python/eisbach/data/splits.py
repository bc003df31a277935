"""Which text is held out for validation."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.data.corpus import is_validation
from eisbach.data.token_files import TokenFile, read_pieces

if TYPE_CHECKING:
    from eisbach.data.tokenizer import Tokenizer


class Split:
    """Token files for training and validation, from one pass over a text.

    Whole documents are held out by their names. Where these are too few, or of
    such lengths, that this gives less than half or more than twice the share
    that was asked for, the last part of each document is held out.

    Attributes:
      by_documents: Whether whole documents are held out; known at the end.
    """

    def __init__(self, folder: Path, tokenizer: Tokenizer, share: float):
        """Makes the files.

        Args:
          folder: Where to write `train` and, for a share, `validation`.
          tokenizer: Makes the tokens.
          share: Of the text that is held out.
        """
        self.by_documents = True
        self._folder = folder
        self._tokenizer = tokenizer
        self._share = share
        self._files = [TokenFile(folder / "train", tokenizer)]
        if share:
            self._files.append(TokenFile(folder / "validation", tokenizer))
        # Of each document: which file it is in, and the length of its text.
        self._in = bytearray()
        self._bytes = array("q")

    def file(self, key: str) -> TokenFile:
        """Returns the file of a document of this name."""
        held = bool(self._share) and is_validation(key, self._share)
        return self._files[held]

    def end(self, file: TokenFile, text_bytes: int) -> None:
        """Ends a document, which is all in this file."""
        if file.end(text_bytes) and self._share:
            self._in.append(self._files.index(file))
            self._bytes.append(text_bytes)

    def finish(self) -> list[TokenFile]:
        """Returns the files: training, and validation where there is a share.

        Raises:
          ValueError: There is no text, or too little to hold some out.
        """
        tokens = [file.tokens for file in self._files]
        if not sum(tokens):
            raise ValueError("no text, so no token to write")
        if not self._share:
            return self._files
        held = tokens[1] / sum(tokens)
        if all(tokens) and self._share / 2 <= held <= self._share * 2:
            return self._files
        self.by_documents = False
        return self._cut()

    def _cut(self) -> list[TokenFile]:
        from eisbach import _C

        for file in self._files:
            file.close()
        before = [_C.TokenFile(str(file.prefix)) for file in self._files]
        after = [
            TokenFile(self._folder / f"{file.prefix.name}-cut", self._tokenizer)
            for file in self._files
        ]
        begin = len(self._tokenizer.begin_of_document)
        end = 0 if self._tokenizer.end_of_document is None else 1
        numbers = [0, 0]
        owed = 0.0  # of the share, for documents too short to be cut
        for at, text_bytes in zip(self._in, self._bytes, strict=True):
            source, number = before[at], numbers[at]
            numbers[at] += 1
            length = source.document_length(number) - begin - end
            owed += length * self._share
            held = min(length, int(owed))
            owed -= held
            cut = begin + length - held
            held_bytes = round(text_bytes * held / length) if length else 0
            for file, first, last, size in (
                (after[0], begin, cut, text_bytes - held_bytes),
                (after[1], cut, begin + length, held_bytes),
            ):
                if first < last or (file is after[0] and not length):
                    for piece in read_pieces(source, number, first, last):
                        file.append(piece)
                    file.end(size)
        if not after[1].tokens or not after[0].tokens:
            raise ValueError(
                f"the text has {sum(f.tokens for f in self._files):,} tokens: "
                f"too few to hold {self._share:g} of them out (--validation)"
            )
        return after
