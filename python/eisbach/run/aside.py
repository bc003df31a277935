"""Processes beside a run that show what its folder holds.

They have the lowest priority, get no signal of the terminal, and are never
waited for by a step.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from eisbach.files import create

_LOWEST_PRIORITY = 19


class Aside:
    """A process that runs a module with some arguments.

    Its standard input stays open as long as this process lives and wants it:
    the end of it says that the run is over.
    """

    def __init__(self, module: str, arguments: Sequence[str], *, log: Path):
        """Starts it.

        Args:
          module: As `python -m` takes it.
          arguments: Of the program.
          log: File for what it prints; it is replaced.

        Raises:
          OSError: It cannot be started.
        """
        self._log = log
        log.unlink(missing_ok=True)
        with open(create(log), "wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )

    def ended(self) -> int | None:
        """Returns its exit status; None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """Returns the last line that it printed."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {self.ended()}"

    def close(self, *, seconds: float) -> None:
        """Tells it that the run is over, and ends it.

        Args:
          seconds: That it has left.
        """
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def step_back() -> None:
    """Gives this process the lowest priority: a run needs the cores."""
    os.nice(_LOWEST_PRIORITY)
