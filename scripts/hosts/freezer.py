"""Processes that are frozen: there, and not run."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

_PATIENCE_SECONDS = 10.0


class Freezer:
    """A control group of cgroup v2."""

    def __init__(self, name: str):
        """Makes it.

        Raises:
          OSError: There is no cgroup v2, or none may be made.
        """
        self._group = _control_groups() / name
        self._group.mkdir()

    def freeze(self, pids: Iterable[int]) -> None:
        """Freezes processes, and what they start."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                (self._group / "cgroup.procs").write_text(str(pid))
        (self._group / "cgroup.freeze").write_text("1")
        self._wait_for("cgroup.events", "frozen 1")

    def thaw(self) -> None:
        """Lets them run again."""
        (self._group / "cgroup.freeze").write_text("0")

    def remove(self) -> None:
        """Ends what is in it, and the group."""
        for pid in (self._group / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        self._wait_for("cgroup.events", "populated 0")
        self._group.rmdir()

    def _wait_for(self, name: str, text: str) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while text not in (self._group / name).read_text():
            if time.monotonic() > end:
                raise TimeoutError(f"{self._group / name}: no {text}")
            time.sleep(0.01)


def _control_groups() -> Path:
    """Where cgroup v2 is, alone or beside v1."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise OSError("no cgroup2 is mounted, which can freeze processes")
