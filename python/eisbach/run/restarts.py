"""What a run's folder tells of its restarts, a line each."""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from eisbach.files import read_regular, write_atomically
from eisbach.run.folder import RunFolder, read_lines

# Set by `eisbach run`: what a job that it starts is to know.
SUPERVISED = "EISBACH_SUPERVISED"
_BEGAN = time.time()


@dataclass(frozen=True)
class Supervised:
    """What `eisbach run` tells a job; times are seconds since the epoch.

    Attributes:
      started: When `eisbach run` was.
      restart: Which it is, counted from 1; 0 for the first start.
      cause: Of the fault before it.
      status: That the job had before it.
      fault_seen: When that had ended.
      folder: Of the run, absolute; empty where it has none yet.
      untold: Restarts before it that came to no step, which no job has told.
    """

    started: float
    restart: int = 0
    cause: str = ""
    status: int = 0
    fault_seen: float = 0.0
    folder: str = ""
    untold: list[dict[str, Any]] = field(default_factory=list)

    def again(self, cause: str, status: int, fault_seen: float) -> Supervised:
        """What the next start is told, after another fault."""
        untold = [*self.untold, self.line()] if self._is_untold() else []
        return replace(
            self,
            restart=self.restart + 1,
            cause=cause,
            status=status,
            fault_seen=fault_seen,
            untold=untold,
        )

    def close(self, step: int) -> None:
        """Writes what no other start will tell.

        Args:
          step: The first one that is not done.
        """
        there = self.folder and Path(self.folder).is_dir()
        if there and self._is_untold():
            lines = [*self.untold, self.line()]
            _append(RunFolder(self.folder).restarts, lines, step)

    def line(self, **found: Any) -> dict[str, Any]:
        """That of `restarts.jsonl`; null where nothing was found."""
        return {
            "restart": self.restart,
            "time": self.fault_seen,
            "cause": self.cause,
            "status": self.status,
            "step": None,
            "ranks": None,
            "seconds_to_notice": None,
            "seconds_to_step": None,
            **found,
        }

    def _is_untold(self) -> bool:
        if not self.restart:
            return False
        path = RunFolder(self.folder).restarts if self.folder else None
        told = read_lines(path) if path and path.exists() else []
        return not any(
            line.get("restart") == self.restart
            and line.get("time", 0.0) > self.started
            for line in told
        )

    @property
    def variables(self) -> dict[str, str]:
        """The environment that tells it."""
        return {SUPERVISED: json.dumps(asdict(self))}


def supervised() -> Supervised | None:
    """What this process was told; None where `eisbach run` is not above it."""
    text = os.environ.get(SUPERVISED)
    return Supervised(**json.loads(text)) if text else None


def begun_here(folder: RunFolder) -> bool:
    """Whether a run is the one that `eisbach run` starts again and again."""
    above = supervised()
    return bool(above) and above.folder == str(folder.path.absolute())


def seconds_left(hours: float) -> float:
    """Seconds until `run.hours` are over; infinite for 0.

    They count from the start of `eisbach run` where that is above this process,
    else from the first import of this module.
    """
    above = supervised()
    began = above.started if above else _BEGAN
    return began + 3600 * hours - time.time() if hours else math.inf


class RestartFile:
    """`restarts.jsonl`: why a run was started again, and how long it took."""

    def __init__(self, folder: RunFolder):
        """Takes the run's folder, and what is known of its last fault."""
        self._path = folder.restarts
        self._above = supervised()
        last = folder.metrics.stat().st_mtime if folder.metrics.exists() else 0
        self._last_sign = last

    def first_step(self, step: int, ranks: int) -> None:
        """Writes the line of this restart, if it is one, after untold ones.

        Args:
          step: That was the first one done since.
          ranks: That do them.
        """
        above = self._above
        if not above or not above.restart:
            return
        now = time.time()
        silent = above.fault_seen - self._last_sign
        line = above.line(
            time=now,
            ranks=ranks,
            seconds_to_notice=max(0.0, silent) if self._last_sign else None,
            seconds_to_step=now - above.fault_seen,
        )
        _append(self._path, [*above.untold, line], step)


def _append(path: Path, lines: Sequence[dict[str, Any]], step: int) -> None:
    old = read_regular(path) if path.exists() else b""
    new = "".join(json.dumps({**line, "step": step}) + "\n" for line in lines)
    write_atomically(path, old + new.encode())


def restart_times(folder: RunFolder) -> dict[str, Any]:
    """Says how often a run was started again after a fault, and how fast.

    Returns:
      `count`, and `median_seconds` and `worst_seconds` from the moment at
      which the end of the job was noticed to the first new step; None for no
      restart.
    """
    lines = read_lines(folder.restarts)
    seconds = [s for line in lines if (s := line.get("seconds_to_step"))]
    return {
        "count": len(lines),
        "median_seconds": statistics.median(seconds) if seconds else None,
        "worst_seconds": max(seconds, default=None),
    }
