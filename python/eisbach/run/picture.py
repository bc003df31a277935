"""`loss.png` while a run goes."""

from __future__ import annotations

import time

from eisbach.run.aside import Aside
from eisbach.run.folder import RunFolder

# To the first picture; later ones come after a part of the time so far.
_FIRST_SECONDS = 20.0
_SHARE = 0.1
_MOST_SECONDS = 300.0


class Picture:
    """Draws the curve now and then, in a process of its own.

    A picture takes about a second of a core that has nothing better to do; a
    step takes a look at the clock.
    """

    def __init__(
        self, folder: RunFolder, *, first_seconds: float = _FIRST_SECONDS
    ):
        """Draws nothing yet.

        Args:
          folder: Of the run.
          first_seconds: From here to the first picture, at least.
        """
        self._folder = folder
        self._log = folder.path / ".loss.log"
        self._first_seconds = first_seconds
        self._start = time.monotonic()
        self._next = self._start + first_seconds
        self._painter: Aside | None = None

    def step(self) -> None:
        """Starts a picture if it is time for one.

        Raises:
          RuntimeError: The one before could not be drawn.
          OSError: A process cannot be started.
        """
        now = time.monotonic()
        if now < self._next:
            return
        if self._painter:
            status = self._painter.ended()
            if status is None:
                return
            words = self._painter.last_words()
            self._painter.close(seconds=0)
            self._painter = None
            if status:
                raise RuntimeError(words)
        self._painter = Aside(
            "eisbach.run.plot",
            [str(self._folder.path)],
            log=self._log,
        )
        pause = min(_SHARE * (now - self._start), _MOST_SECONDS)
        self._next = now + max(pause, self._first_seconds)

    def close(self) -> None:
        """Ends the process if there is one; a second time does nothing."""
        if self._painter:
            self._painter.close(seconds=0)
            self._painter = None
            # What it has not finished.
            for left in self._folder.path.glob(f".{self._folder.plot.name}.*"):
                left.unlink(missing_ok=True)
            self._log.unlink(missing_ok=True)
