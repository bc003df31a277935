"""The followers that a run starts for itself."""

from __future__ import annotations

import time
from collections.abc import Sequence

from eisbach.run.aside import Aside
from eisbach.run.folder import RunFolder
from eisbach.run.output import warn

# Between two looks at whether one has died.
_LOOK_SECONDS = 5.0
_CLOSING_SECONDS = 3.0


class Followers:
    """Processes that follow a run as long as it goes; one may die."""

    def __init__(self, folder: RunFolder, names: Sequence[str], port: int):
        """Starts them.

        Args:
          folder: Of the run.
          names: Of trackers.
          port: Of `prometheus`, which is started as well; 0 for not.

        Raises:
          OSError: A process cannot be started.
        """
        self._folder = folder
        self._next = time.monotonic() + _LOOK_SECONDS
        self._running: dict[str, Aside] = {}
        for name in (*names, *(["prometheus"] if port else [])):
            self._running[name] = Aside(
                "eisbach.run.followers.follow",
                [name, str(folder.path), str(port)],
                log=folder.path / f"{name}.log",
            )

    def step(self) -> None:
        """Says once of each follower that died, and why."""
        now = time.monotonic()
        if self._running and now >= self._next:
            self._next = now + _LOOK_SECONDS
            self._look()

    def _look(self) -> None:
        for name in list(self._running):
            if self._running[name].ended() is None:
                continue
            follower = self._running.pop(name)
            words = follower.last_words()
            follower.close(seconds=0)
            warn(
                f"the run goes on without {name}: {words}; `eisbach follow "
                f"{self._folder.path} --to {name}` starts it again"
            )

    def close(self) -> None:
        """Gives them a moment for the last lines, and ends them."""
        self._look()
        deadline = time.monotonic() + _CLOSING_SECONDS
        for follower in self._running.values():
            left = max(0.0, deadline - time.monotonic())
            follower.close(seconds=left)
        self._running.clear()
