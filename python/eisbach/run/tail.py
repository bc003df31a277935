"""Lines of a `.jsonl` file as it grows: the last ones, and what is new."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

# So much of the end of a file is read: some hundred lines.
_END_BYTES = 256 << 10


def last_lines(path: Path) -> list[dict[str, Any]]:
    """Returns the objects in the last lines; none where there is no file."""
    return Tail(path, from_end=True).read()


class Tail:
    """Reads what is appended to a file, whole lines at a time.

    Damaged lines are left out. A file that became shorter, as a run that is
    resumed from before its end makes it, is read from its start again.
    """

    def __init__(self, path: Path, *, from_end: bool = False):
        """Starts at the beginning.

        Args:
          path: The file; it may come later.
          from_end: Start with the last lines instead.
        """
        self._path = path
        self._offset = 0
        self._inode = 0
        self._from_end = from_end

    def read(self) -> list[dict[str, Any]]:
        """Returns the objects in lines that have come since the last call."""
        try:
            with open(self._path, "rb", opener=_open_at_once) as stream:
                found = os.fstat(stream.fileno())
                if not stat.S_ISREG(found.st_mode):
                    return []
                if found.st_ino != self._inode or found.st_size < self._offset:
                    self._offset = 0
                    self._inode = found.st_ino
                cut = self._from_end and found.st_size > _END_BYTES
                if cut:
                    self._offset = max(self._offset, found.st_size - _END_BYTES)
                self._from_end = False
                stream.seek(self._offset)
                content = stream.read()
        except FileNotFoundError:
            return []
        whole, end, _ = content.rpartition(b"\n")
        self._offset += len(whole) + len(end)
        lines = whole.split(b"\n")
        return [line for raw in lines[cut:] if (line := _parse(raw))]


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _parse(raw: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and "step" in line else None
