"""Whether a name still leads to what was opened under it."""

from __future__ import annotations

import os
from pathlib import Path


class LostError(ValueError):
    """A run cannot go on where it wrote: its place is gone."""


class Held:
    """Holds a file or folder, and finds out when its name leads elsewhere.

    It is not opened to be read or written, so locks of it stay as they are.
    """

    def __init__(self, path: Path):
        """Takes what has this name now.

        Raises:
          OSError: Nothing has.
        """
        self.path = path
        self._at = os.open(path, os.O_PATH | os.O_CLOEXEC)

    def now(self) -> Path | None:
        """Returns where it is; None where it has no name any more."""
        place = Path(os.readlink(f"/proc/self/fd/{self._at}"))
        return place if self._is(place) is True else None

    def fault(self) -> str:
        """Says what became of it; empty where it is in its place."""
        if self._is(self.path) is not False:
            return ""
        place = self.now()
        return f"was moved to {place}" if place else "was deleted"

    def _is(self, path: Path) -> bool | None:
        """Whether a name leads to it; None where the system does not tell."""
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # a network that is gone for a moment
            return None
        return os.path.samestat(found, os.fstat(self._at))

    def release(self) -> None:
        """Lets go; a second time does nothing."""
        if self._at >= 0:
            os.close(self._at)
        self._at = -1
