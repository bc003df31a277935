"""What befalls a job on two hosts, and what is to come of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any

from hosts.job import Job

_HANG = 76
_BLIP_SECONDS = 30.0
_SLOW_LINK = r"rank [01] \(h1\) and rank [23] \(h2\), of data"
_NO_ANSWER = r"rank 2: its host, h2, gives no answer"

Do = Callable[[Job], None]


def _nothing(_: Job) -> None:
    pass


@dataclass(frozen=True)
class Case:
    """A fault between hosts.

    Attributes:
      name: Of it.
      strike: Does it, while the job trains.
      named: Pattern of the cause that `eisbach run` must tell; empty where the
        job must go on as if nothing had been.
      status: That the job has to end with before it is started again; None for
        any but 0.
      after: What is done once the cause was told: a host comes back, say.
      later: What is done once the run is over, before anybody looks.
      before: What is done before the job is started.
      hang_seconds: `fault.hang_seconds`.
      steps: Of the run.
      at: The step after which the fault is done.
      hosts: How many there are.
      ranks: That the run comes to its end on.
      link: Pattern of the slow link that the job must name, and after which it
        must say that it is slow no longer.
      mess: Whether somebody is killed who leaves files of its own, which nobody
        else removes at once: Open MPI's, or the file in which rank 0 tells.
      ends: Whether `eisbach run` itself is ended, and started again by hand.
    """

    name: str
    strike: Do
    named: str = ""
    status: int | None = None
    _: KW_ONLY
    after: Do = _nothing
    later: Do = _nothing
    before: Do = _nothing
    hang_seconds: float = 3.0
    steps: int = 300
    at: int = 40
    hosts: int = 2
    ranks: int = 4
    link: str = ""
    mess: bool = False
    ends: bool = False


def _kill(pids: Iterable[int]) -> None:
    found = list(pids)
    assert found, "there is no such process"
    for pid in found:
        os.kill(pid, signal.SIGKILL)


def _blip(job: Job) -> None:
    job.hosts.cut("h2", _BLIP_SECONDS)


def _freeze_rank(job: Job) -> None:
    job.hosts.freeze("h2", [job.first_rank("h2")])


def _host_comes_back(job: Job) -> None:
    job.hosts.start("h2")


def _bad_cable(name: str, strike: Do, mend: Do, **more: Any) -> Case:
    """A cable of h2 that becomes bad while the job trains, until it is named.

    Args:
      name: Of the case.
      strike: Makes it bad.
      mend: Makes it good again.
      more: Of the case, where it is not of two hosts.
    """
    case = {"link": _SLOW_LINK, "hang_seconds": 30.0, "at": 100, **more}
    return Case(name, strike, after=mend, **case)


CASES = (
    Case(
        "cable pulled, put back when it was told",
        lambda job: job.hosts.cut("h2"),
        _NO_ANSWER,
        _HANG,
        after=lambda job: job.hosts.join("h2"),
    ),
    Case(
        "cable pulled for good",
        lambda job: job.hosts.cut("h2"),
        _NO_ANSWER,
        _HANG,
        ranks=2,
    ),
    Case("blip of 30 s", _blip, hang_seconds=60.0),
    Case(
        "blip of 30 s",
        _blip,
        _NO_ANSWER,
        _HANG,
        hang_seconds=5.0,
        ranks=2,
    ),
    Case(
        "5 % loss and 50 ms each way",
        _nothing,
        before=lambda job: job.hosts.worsen("h2", loss=0.05, delay=0.05),
        hang_seconds=30.0,
        steps=40,
        at=1,
    ),
    _bad_cable(
        "cable of 20 Mbit/s, a good one when it was told",
        lambda job: job.hosts.throttle("h2", megabits=20),
        lambda job: job.hosts.unthrottle("h2"),
    ),
    _bad_cable(
        "10 ms each way, none when it was told",
        lambda job: job.hosts.worsen("h2", loss=0.0, delay=0.01),
        lambda job: job.hosts.mend("h2"),
    ),
    _bad_cable(
        "one cable of three of 20 Mbit/s, a good one when it was told",
        lambda job: job.hosts.throttle("h2", megabits=20),
        lambda job: job.hosts.unthrottle("h2"),
        link=r"of data, .* all with a rank on h2",
        hosts=3,
        ranks=6,
    ),
    Case(
        "host frozen (cgroup), thawed when it was told",
        lambda job: job.hosts.freeze("h2"),
        _NO_ANSWER,
        _HANG,
        after=lambda job: job.hosts.thaw("h2"),
    ),
    Case(
        "host frozen (cgroup), thawed when the run was over",
        lambda job: job.hosts.freeze("h2"),
        _NO_ANSWER,
        _HANG,
        later=lambda job: job.hosts.thaw("h2"),
        ranks=2,
    ),
    Case(
        "all of a host stopped (SIGSTOP), continued when it was told",
        lambda job: job.hosts.stop("h2"),
        _NO_ANSWER,
        _HANG,
        after=lambda job: job.hosts.go_on("h2"),
    ),
    Case(
        "a rank frozen (cgroup)",
        _freeze_rank,
        r"rank 2 \(h2, process \d+\) is frozen",
        _HANG,
    ),
    Case(
        "host gone, back when it was told",
        lambda job: job.hosts.lose("h2"),
        _NO_ANSWER,
        _HANG,
        after=_host_comes_back,
    ),
    Case(
        "host gone for good",
        lambda job: job.hosts.lose("h2"),
        _NO_ANSWER,
        _HANG,
        ranks=2,
    ),
    Case(
        "a rank on the other host killed",
        lambda job: _kill([job.first_rank("h2")]),
        # Open MPI does not always say which it was.
        r"rank [23] on h2 was killed by SIGKILL|on h2 was gone|launcher ended",
    ),
    Case(
        "the daemon of the other host killed",
        lambda job: _kill(job.hosts.pids("h2", "prted")),
        r"the host h2 was lost",
        mess=True,
    ),
    Case(
        "mpirun killed",
        lambda job: _kill(job.launcher()),
        r"the launcher was killed by SIGKILL",
        128 + signal.SIGKILL,
        mess=True,
    ),
    Case(
        "eisbach run killed",
        lambda job: _kill(job.supervisor()),
        mess=True,
        ends=True,
    ),
)
