"""What is done to a job: each fault takes the job and a source of chance."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torture.disk import filled
from torture.job import Job
from torture.planting import (
    HUGE_GRADIENT,
    HUGE_WEIGHT,
    NAN_GRADIENT,
    NAN_WEIGHT,
    WRONG_BIT,
    Plant,
)

# Returns whether there was anything to break.
Break = Callable[[Job, random.Random], bool]


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Attributes:
      name: Of the kind.
      strike: Does it.
      restarts: Whether the ranks are started again after it.
      told: Finds what the run should have said of it, and has not.
    """

    name: str
    strike: Break
    restarts: bool = True
    told: Callable[[Job], list[str]] = lambda job: []


def _send(pids: Iterable[int], number: int) -> bool:
    sent = False
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            sent = True
    return sent


def _one_rank(job: Job, draw: random.Random) -> list[int]:
    ranks = sorted(job.ranks().items())
    return [draw.choice(ranks)[1]] if ranks else []


def _rank(number: int) -> Break:
    return lambda job, draw: _send(_one_rank(job, draw), number)


def _first_rank(job: Job, draw: random.Random) -> bool:
    ranks = job.ranks()
    return _send([ranks[0]] if 0 in ranks else [], signal.SIGKILL)


def _all_ranks(job: Job, draw: random.Random) -> bool:
    return _send(job.ranks().values(), signal.SIGKILL)


def _launcher(job: Job, draw: random.Random) -> bool:
    return _send(job.launcher(), signal.SIGKILL)


def _supervisor(number: int) -> Break:
    return lambda job, draw: _send(job.supervisor(), number)


def _pause(job: Job, draw: random.Random) -> bool:
    pids = _one_rank(job, draw)
    if not _send(pids, signal.SIGSTOP):
        return False
    time.sleep(draw.uniform(0.1, 1.0))
    return _send(pids, signal.SIGCONT)


def _stop_for_good(job: Job, draw: random.Random) -> bool:
    """Stops a rank that others wait for; the watch is to find out."""
    _, before = job.lines()
    time.sleep(0.1)
    steps = job.lines()[1] > before  # the start has more patience
    alone = len(job.ranks()) < 2
    if alone or not steps:
        return False
    return _send(_one_rank(job, draw), signal.SIGSTOP)


def _flip(job: Job, draw: random.Random) -> bool:
    """Turns a bit of the newest checkpoint over, and has it read."""
    found = job.checkpoints()
    if len(found) < 2:
        return False
    try:
        path = draw.choice(sorted(p for p in found[-1].iterdir()))
        data = bytearray(path.read_bytes())
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        with path.open("r+b") as file:
            file.write(data)
    except (OSError, IndexError, ValueError):  # it was deleted meanwhile
        return False
    return _all_ranks(job, draw)


def _full_disk(job: Job, draw: random.Random) -> bool:
    if not job.checkpoints():
        return False
    with filled(job.run.parent):
        time.sleep(draw.uniform(0.5, 2.0))
    return True


def _full_disk_and_kill(job: Job, draw: random.Random) -> bool:
    """Has a job start again where there is no room; then there is some."""
    if not job.checkpoints():
        return False
    with filled(job.run.parent):
        killed = _all_ranks(job, draw)
        time.sleep(draw.uniform(2.0, 8.0))
    return killed


def _planted(name: str, plant: Plant, *, restarts: bool = False) -> Fault:
    return Fault(name, plant.strike, restarts, plant.told)


FAULTS = (
    Fault("kill -9 a rank", _rank(signal.SIGKILL)),
    Fault("kill -9 rank 0", _first_rank),
    Fault("kill -9 all ranks", _all_ranks),
    Fault("kill -9 mpirun", _launcher),
    Fault("kill -9 eisbach run", _supervisor(signal.SIGKILL)),
    Fault("TERM a rank", _rank(signal.SIGTERM)),
    Fault("USR1 a rank", _rank(signal.SIGUSR1)),
    Fault("INT a rank", _rank(signal.SIGINT)),
    Fault("TERM eisbach run", _supervisor(signal.SIGTERM)),
    Fault("USR1 eisbach run", _supervisor(signal.SIGUSR1)),
    Fault("STOP and CONT a rank", _pause, restarts=False),
    Fault("STOP a rank for good", _stop_for_good),
    Fault("bit flip in a checkpoint", _flip),
    Fault("full disk", _full_disk, restarts=False),
    Fault("kill -9 all ranks on a full disk", _full_disk_and_kill),
    _planted("a weight is NaN for a step", NAN_WEIGHT),
    _planted("a weight is huge for a step", HUGE_WEIGHT),
    _planted("a gradient is NaN", NAN_GRADIENT),
    _planted("a gradient is huge", HUGE_GRADIENT),
    _planted("bit flip in a rank's weights", WRONG_BIT, restarts=True),
)
