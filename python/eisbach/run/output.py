"""Standard output that may be closed, full, gone, or not read by anybody."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
import threading
import time
from typing import Any, TextIO

# So much waits for a reader that is slow; what comes on top is left out.
_MOST_BYTES = 1 << 20
_CLOSING_SECONDS = 2.0


class Output(io.TextIOBase):
    """Text for a stream that a run must not depend on.

    Nothing is raised and nobody is waited for: what the stream's encoding
    cannot say is escaped, what a slow reader leaves waits in memory, and a
    stream that fails gets nothing more. The first loss is told by `warn`.
    """

    def __init__(self, stream: TextIO | None, *, name: str = ""):
        """Takes over from `stream`.

        Args:
          stream: Such as `sys.stdout`, which is None where it is closed.
          name: What a warning calls it; without one there is none.
        """
        self._stream = stream
        self._name = name
        self._waiting = bytearray()
        self._lock = threading.RLock()  # a bar is drawn on its own thread
        self._lost = False
        self._descriptor = _own_descriptor(stream)

    @property
    def encoding(self) -> str:
        """That of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """That of the stream; OSError where it has none."""
        if self._stream is None:
            raise OSError("standard output is closed")
        return self._stream.fileno()

    def writable(self) -> bool:
        """It always is."""
        return True

    def write(self, text: str) -> int:
        """Writes what can be written, and keeps the rest for later."""
        data = text.encode(self.encoding, "backslashreplace")
        with self._lock:
            if self._descriptor is not None:
                self._put(data)
            elif self._stream is not None:
                with self._told():
                    self._stream.write(data.decode(self.encoding))
        return len(text)

    def _put(self, data: bytes) -> None:
        if self._stream is None:  # it has failed
            return
        self._drain()
        if len(self._waiting) + len(data) > _MOST_BYTES:
            self._tell("nobody reads it")
            return
        self._waiting += data
        self._drain()

    def flush(self) -> None:
        """Hands on what can be written now."""
        with self._lock:
            if self._descriptor is not None:
                self._drain()
            elif self._stream is not None:
                with self._told():
                    self._stream.flush()

    def close(self) -> None:
        """Waits a moment for a slow reader; a second time does nothing."""
        deadline = time.monotonic() + _CLOSING_SECONDS
        self.flush()
        while self._waiting and time.monotonic() < deadline:
            time.sleep(0.01)
            self.flush()
        if self._waiting:
            self._tell("nobody reads it")
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = self._stream = None
        self._waiting.clear()
        super().close()

    def _drain(self) -> None:
        with self._told():
            while self._waiting and self._descriptor is not None:
                try:
                    count = os.write(self._descriptor, self._waiting)
                except BlockingIOError:
                    return
                del self._waiting[:count]

    @contextlib.contextmanager
    def _told(self):
        try:
            yield
        except (OSError, ValueError) as error:
            self._waiting.clear()
            self._stream = None
            self._tell(getattr(error, "strerror", None) or str(error))

    def _tell(self, why: str) -> None:
        if self._name and not self._lost:
            self._lost = True
            warn(f"{self._name} is left out from here on: {why}")


def tell(line: str) -> None:
    """Prints a line on stderr, if there is anybody to see it."""
    with Output(sys.stderr) as stream:
        stream.write(f"{line}\n")


def warn(text: str) -> None:
    """Tells what a run goes on without."""
    tell(f"eisbach: warning: {text}")


def _own_descriptor(stream: TextIO | None) -> int | None:
    """Returns a descriptor of what a stream writes to; None where it has none.

    Where writing can block it is opened a second time, since whether it does
    belongs to all who share what was opened.
    """
    # A notebook has streams of its own, which lead elsewhere.
    if not isinstance(stream, io.TextIOWrapper):
        return None
    with contextlib.suppress(OSError, ValueError):
        stream.flush()
    try:
        number = stream.fileno()
        mode = os.fstat(number).st_mode
    except (OSError, ValueError):
        return None
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        with contextlib.suppress(OSError):
            return os.open(
                f"/proc/self/fd/{number}",
                os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC,
            )
    return os.dup(number)


def open_missing() -> None:
    """Makes standard streams usable for a program that just prints.

    Those that are closed lead to nowhere, since the next file to be opened
    would get their number and the text; text that an encoding cannot say is
    escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Named(io.FileIO):
    """Standard output, of which an error says that it is that."""

    def write(self, data: Any) -> int | None:
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(
                error.errno, error.strerror, "standard output"
            ) from None


def name_errors() -> None:
    """Lets an error of standard output say where it came up."""
    stream = sys.stdout
    if not isinstance(stream, io.TextIOWrapper):
        return
    stream.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Named(stream.fileno(), "w", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
