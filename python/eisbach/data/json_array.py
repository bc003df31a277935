"""JSON arrays of any length."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")


class ArrayReader:
    """The elements of a JSON array, of which one at a time is in memory."""

    def __init__(self, path: Path, pieces: Iterator[str]):
        """Reads nothing yet.

        Args:
          path: Of the file, for messages.
          pieces: Its text.
        """
        self._path = path
        self._pieces = pieces
        self._decoder = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._number = 0

    def __iter__(self) -> Iterator[Any]:
        self._expect("[")
        if self._next() == "]":
            self._at += 1
        else:
            while True:
                self._number += 1
                yield self._element()
                if self._next() == ",":
                    self._at += 1
                    continue
                self._expect("]")
                break
        if self._next():
            self._fail("text after the end of the array")

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._text = self._text[self._at :] + piece
        self._at = 0
        return True

    def _next(self) -> str:
        """Returns the next character that is no space; "" at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _expect(self, sign: str) -> None:
        if self._next() != sign:
            found = self._text[self._at : self._at + 1] or "the end"
            self._fail(f"{sign!r} expected, not {found!r}")
        self._at += 1

    def _element(self) -> Any:
        self._next()
        wanted = 0
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                # A number may go on in the next piece.
                if end < len(self._text) or not self._more():
                    self._at = end
                    return value
            except RecursionError:
                self._fail("too deep")
            except ValueError as error:
                # Reading twice as much each time keeps long elements cheap.
                wanted = max(2 * wanted, len(self._text) - self._at)
                grown = False
                while len(self._text) - self._at <= wanted and self._more():
                    grown = True
                if not grown:
                    self._fail(str(error))

    def _fail(self, what: str) -> None:
        raise ValueError(
            f"{self._path}: no JSON array, at element {self._number}: {what}"
        )
