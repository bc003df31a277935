"""Runs a program that may hang, and ends it with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_running: set[int] = set()  # process groups


def end_all() -> None:
    """Kills every program that runs, and what it started."""
    for group in list(_running):
        _kill(group)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    output: str  # what it printed, errors as well
    seconds: float
    timed_out: bool


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    seconds: float,
    log: Path,
) -> Ended:
    """Runs a command, and kills its process group after a while.

    Args:
      command: Program and arguments.
      environment: Added to this process's own.
      seconds: It may take.
      log: A file that keeps what it prints, also where all is cut off.
    """
    start = time.monotonic()
    timed_out = False
    with log.open("wb") as file:
        try:
            process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=file,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return Ended(127, str(error), 0.0, timed_out=False)
        _running.add(process.pid)
        try:
            process.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            _kill(process.pid)
            process.wait()
            _running.discard(process.pid)
    return Ended(
        process.returncode, log.read_text(errors="replace"),
        time.monotonic() - start, timed_out,
    )  # fmt: skip
