"""How far a search of layouts is, in one line of a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from eisbach.planning import words

if TYPE_CHECKING:
    from eisbach import _C

_EVERY_SECONDS = 0.5


class SearchLine:
    """Shows a search on standard error, where that is a terminal."""

    def __init__(self, stream: TextIO | None = None):
        """Shows nothing yet: a search that is soon over needs no line."""
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty()
        self._next = time.monotonic() + _EVERY_SECONDS
        self._width = 0

    def __enter__(self) -> SearchLine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._width:
            self._write("")
            self._stream.write("\r")
            self._stream.flush()

    def at(self, tried: int, best: _C.Candidate | None) -> None:
        """Is told how many layouts were tried, and the quickest so far."""
        if not self._shown or (now := time.monotonic()) < self._next:
            return
        self._next = now + _EVERY_SECONDS
        text = f"{tried:,} layouts tried"
        if best is not None:
            text += (
                f"; the best so far {best.forecast.seconds:.4g} s: "
                f"{words.layout(best.layout)}"
            )
        self._write(text)

    def _write(self, text: str) -> None:
        # A line that the terminal breaks is not written over.
        text = text[: self._columns() - 1]
        self._stream.write(f"\r{text:<{self._width}}")
        self._stream.flush()
        self._width = len(text)

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns
        except OSError:  # it is none that the system knows
            return shutil.get_terminal_size().columns
