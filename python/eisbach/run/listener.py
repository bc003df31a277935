"""What a program says: handed on at once, and its end kept."""

from __future__ import annotations

import os
import threading

_MOST_BYTES = 64 << 10
STDOUT, STDERR = 1, 2


class Listener:
    """Stands between a program and a stream of ours, inside its context.

    Attributes:
      entry: Where the program writes; a descriptor.
    """

    def __init__(self, stream: int):
        """Makes one for STDOUT or STDERR."""
        self._stream = stream
        self._exit, self.entry = os.pipe()
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def said(self) -> str:
        """The end of what was said; all of it is there after the context."""
        return self._kept.decode(errors="replace")

    def _listen(self) -> None:
        heard = True  # whether anybody reads our stream
        while data := os.read(self._exit, 1 << 16):
            self._kept += data
            del self._kept[:-_MOST_BYTES]
            while heard and data:
                try:
                    data = data[os.write(self._stream, data) :]
                except OSError:
                    heard = False
        os.close(self._exit)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Waits until all who write have ended."""
        os.close(self.entry)
        self._thread.join()
