"""Breaks the network between hosts, and hosts, under running jobs.

    scripts/hosts.sh [--only WORDS]...

Each case starts a job of two ranks on each of two or three hosts that are made
up, under `eisbach run`, does something to it while it trains, and holds what
comes of it against the same run that nothing befell: who is named, after how
long, what the job ends with, whether anything is left on a host, and the losses
and weights. Needs root, `ip`, `tc` and cgroup v2.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hosts.cases import CASES, Case
from hosts.job import RANKS_PER_HOST, Job
from hosts.network import Hosts, missing
from torture.cases import choose, conclude, run_all
from torture.job import Layout
from torture.trial import OTHERS, Outcome, Unbroken, compare

# What the watch has from hang_seconds on, and a busy machine.
_REPORT_SECONDS = 5.0


@dataclass
class Result:
    """What came of a case.

    Attributes:
      case: What was done.
      told_after: Seconds until the cause was on stderr; None: nothing was told.
      status: That the job had then.
      cause: That `eisbach run` told.
      on_after: Seconds from the fault to the first new step.
      steps: After how many a slow link was named, and after how many it was
        told that it is so no longer.
      ranks: That did the last step.
      same: Whether losses and weights are those of the unbroken run.
      faults: What should not be.
    """

    case: Case
    told_after: float | None = None
    status: int | None = None
    cause: str = ""
    on_after: float | None = None
    steps: list[int] = field(default_factory=list)
    ranks: int = 4
    same: bool = False
    faults: list[str] = field(default_factory=list)


class Trials:
    """Runs cases, each on hosts of its own."""

    def __init__(self, folder: Path):
        """Takes a folder for what is written."""
        self._folder = folder
        self._whole: dict[tuple[int, int], Unbroken] = {}

    def run(self, case: Case) -> Result:
        """Runs one; nothing is left of it."""
        whole = self._unbroken(case.steps, case.hosts)
        result = Result(case, ranks=RANKS_PER_HOST * case.hosts)
        with Hosts(case.hosts) as hosts:
            job = Job(
                hosts,
                self._folder,
                f"run{CASES.index(case)}",
                steps=case.steps,
                hang_seconds=case.hang_seconds,
            )
            try:
                case.before(job)
                job.start()
                self._break(job, result)
                self._compare(job, whole, result)
            finally:
                end = job.said[-6000:]
                job.kill()
        if result.faults:
            result.faults.append(f"its end:\n{end}")
        return result

    def _unbroken(self, steps: int, count: int) -> Unbroken:
        if (steps, count) not in self._whole:
            with Hosts(count) as hosts:
                name = f"whole{steps}-{count}"
                job = Job(
                    hosts, self._folder, name, steps=steps, hang_seconds=60
                )
                try:
                    job.start()
                    status = job.wait()
                finally:
                    job.kill()
            if status != 0:
                raise RuntimeError(
                    f"what nothing befalls ends with {status}:\n{job.said}"
                )
            whole = Unbroken(job.metrics(), job.weights())
            self._whole[steps, count] = whole
        return self._whole[steps, count]

    def _break(self, job: Job, result: Result) -> None:
        case = result.case
        if not job.wait_for(lambda: job.has_done(case.at) or _over(job)):
            result.faults.append("it does not train")
            return
        start, wall = time.monotonic(), time.time()
        case.strike(job)
        if case.named:
            self._wait_for_report(job, result, start)
        if case.link:
            self._wait_for_link(job, result, start)
        case.after(job)
        if case.link:
            self._wait_until_forgiven(job, result)
        if case.ends:
            job.wait()
            result.faults += _left(job, case)
            job.start()
        if (status := job.wait()) != 0:
            result.faults.append(f"eisbach run ended with {status}")
        case.later(job)
        result.faults += _left(job, case)
        if not job.status:
            result.faults += job.damaged()
        self._judge(job, result, wall)

    def _wait_for_report(self, job: Job, result: Result, start: float) -> None:
        told = r"the job hangs|eisbach run: .*; starts again"
        if not job.wait_for(lambda: re.search(told, job.said) or _over(job)):
            result.faults.append("nothing was told")
        result.told_after = time.monotonic() - start
        job.wait_for(lambda: "starts again" in job.said or _over(job))

    def _wait_for_link(self, job: Job, result: Result, start: float) -> None:
        before = len(job.metrics())
        if early := _links(job):
            result.faults.append(f"told before: {early}")
        if not job.wait_for(lambda: _links(job) or _over(job)):
            result.faults.append("nothing was told")
            return
        result.told_after = time.monotonic() - start
        result.cause = next(iter(_links(job)), "")
        result.steps.append(len(job.metrics()) - before)
        if not re.search(result.case.link, result.cause):
            result.faults.append(f"not named: {result.case.link}")

    def _wait_until_forgiven(self, job: Job, result: Result) -> None:
        before = len(job.metrics())
        told = "no longer holds steps up"
        job.wait_for(lambda: told in job.said or _over(job))
        if told not in job.said:
            result.faults.append("not told that it is over")
        result.steps.append(len(job.metrics()) - before)

    def _judge(self, job: Job, result: Result, wall: float) -> None:
        case, restarts = result.case, job.told("restarts.jsonl")
        if not case.named:
            told = re.findall(r"the job hangs.*|eisbach run: .*", job.said)
            result.faults += [f"told: {line}" for line in told]
            return
        if not restarts:
            result.faults.append("it was not started again")
            return
        causes = re.findall(r"eisbach run: (.*); starts again", job.said)
        result.cause = causes[0] if causes else ""
        told = [line for line in restarts if line["cause"] == result.cause]
        result.status = told[0]["status"] if told else None
        result.on_after = restarts[-1]["time"] - wall
        result.ranks = restarts[-1]["ranks"]
        if not re.search(case.named, result.cause):
            result.faults.append(f"not named: {case.named}")
        wrong = case.status not in (None, result.status)
        if told and (wrong or not result.status):
            result.faults.append(f"status {result.status}, not {case.status}")
        if result.ranks != case.ranks:
            result.faults.append(f"{result.ranks} ranks, not {case.ranks}")
        limit = case.hang_seconds + _REPORT_SECONDS
        if case.status == 76 and (result.told_after or 0) > limit:
            result.faults.append(f"told after {result.told_after:.1f} s")

    def _compare(self, job: Job, whole: Unbroken, result: Result) -> None:
        first = Layout(RANKS_PER_HOST * result.case.hosts, 1, 1)
        outcome = Outcome(0, [first, Layout(result.ranks, 1, 1)])
        outcome.faults = result.faults
        compare(job, whole, result.case.steps, outcome)
        result.same = outcome.same


def _left(job: Job, case: Case) -> list[str]:
    return [f"left: {it}" for it in job.left(files=not case.mess)]


def _links(job: Job) -> list[str]:
    """What it has told of slow links, and of waiting for none."""
    told = r"the link between .* is slow.*|ranks wait .* longer.*"
    return re.findall(told, job.said)


def _over(job: Job) -> bool:
    return job.status is not None


def table(results: Sequence[Result]) -> str:
    """Says what was done, and what came of it."""
    lines = [
        "| fault | hang_seconds | told after | status | told | goes on after "
        "| ranks | losses and weights | left |",
        "| --- " * 9 + "|",
    ]
    for result in results:
        left = sum(fault.startswith("left") for fault in result.faults)
        if result.same:
            ranks = RANKS_PER_HOST * result.case.hosts
            same = "same bits" if result.ranks == ranks else "to rounding"
        else:
            same = "OTHERS" if OTHERS in result.faults else "not compared"
        cells = (
            result.case.name,
            f"{result.case.hang_seconds:g}",
            ", ".join(
                [
                    _seconds(result.told_after),
                    *(f"{steps} steps" for steps in result.steps),
                ]
            ),
            "-" if result.status is None else str(result.status),
            result.cause.partition(";")[0] or "-",
            _seconds(result.on_after),
            str(result.ranks),
            same,
            str(left) if left else "nothing",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def main() -> int:
    """Runs the cases; returns the exit status."""
    chosen = choose(
        CASES, program="hosts", description=__doc__, absent=missing()
    )
    with tempfile.TemporaryDirectory(prefix="eisbach-faults-") as folder:
        results = run_all(chosen, Trials(Path(folder)).run, table)
    return conclude(results, table, "cases")


if __name__ == "__main__":
    sys.exit(main())
