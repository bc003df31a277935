"""Submits jobs to a SLURM of two nodes, and ends them in all ways.

    scripts/slurm.sh [--only WORDS]...

Each job is the project's template (or says otherwise) on two nodes of two
ranks. Those that come to their end must have the losses and weights of one that
ran in one piece. Needs root and the commands of SLURM and munge.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hosts.network import Hosts
from slurm.cases import CASES, Case
from slurm.cluster import Cluster, missing
from slurm.job import Job
from torture.cases import choose, conclude, run_all
from torture.job import Layout
from torture.trial import Outcome, Unbroken, compare


@dataclass
class Result:
    """What came of a case.

    Attributes:
      case: What was done.
      state: That SLURM showed at the end.
      code: The exit code that it showed.
      restarts: That it counted.
      seconds: From the submission to the end.
      same: What the losses and weights are beside those of the unbroken run.
      faults: What should not be.
    """

    case: Case
    state: str = ""
    code: str = ""
    restarts: int = 0
    seconds: float = 0.0
    same: str = "-"
    faults: list[str] = field(default_factory=list)


class Trials:
    """Runs cases, one after the other, in one cluster."""

    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self._whole: dict[int, Unbroken] = {}

    def run(self, case: Case) -> Result:
        """Runs one; nothing is left of it."""
        result = Result(case)
        start = time.monotonic()
        job = self._job(f"run-{CASES.index(case)}", case.steps)
        try:
            if wrong := case.do(job):
                result.faults.append(wrong)
            result.state = job.wait()
            result.seconds = time.monotonic() - start
            self._judge(job, result)
        except RuntimeError as error:
            result.faults.append(str(error))
            job.cancel()
        if result.faults:
            result.faults.append(f"its end:\n{job.said[-6000:]}")
        return result

    def _job(self, name: str, steps: int) -> Job:
        return Job(self._cluster, name, f"train.steps={steps}")

    def _judge(self, job: Job, result: Result) -> None:
        case = result.case
        result.code = job.shown("ExitCode")
        result.restarts = int(job.shown("Restarts"))
        if result.state != case.ends:
            result.faults.append(f"{result.state}, not {case.ends}")
        few = not result.restarts if case.restarts is None else False
        if few or case.restarts not in (None, result.restarts):
            result.faults.append(f"{result.restarts} restarts")
        result.faults += [f"left: {it}" for it in job.left()]
        result.faults += job.damaged()
        if case.whole and not result.faults:
            self._compare(job, result)

    def _compare(self, job: Job, result: Result) -> None:
        outcome = Outcome(0, [Layout(4, 1, 1)])
        compare(
            job, self._unbroken(result.case.steps), result.case.steps, outcome
        )
        result.faults += outcome.faults
        result.same = "same bits" if outcome.same else "OTHERS"

    def _unbroken(self, steps: int) -> Unbroken:
        if steps not in self._whole:
            job = self._job(f"whole{steps}", steps)
            job.submit()
            if (state := job.wait()) != "COMPLETED":
                raise RuntimeError(f"a run of itself: {state}\n{job.said}")
            self._whole[steps] = Unbroken(job.metrics(), job.weights())
        return self._whole[steps]


def table(results: Sequence[Result]) -> str:
    """Says what was done, and what came of it."""
    lines = [
        "| job | state | exit code | restarts | seconds | losses and weights |",
        "| --- " * 6 + "|",
    ]
    for result in results:
        cells = (
            result.case.name,
            result.state,
            result.code,
            str(result.restarts),
            f"{result.seconds:.0f}",
            result.same,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Runs the cases; returns the exit status."""
    chosen = choose(
        CASES, program="slurm", description=__doc__, absent=missing()
    )
    with (
        tempfile.TemporaryDirectory(prefix="eisbach-slurm-") as folder,
        Hosts(3) as hosts,
    ):
        cluster = Cluster(hosts, Path(folder))
        try:
            cluster.start()
            results = run_all(chosen, Trials(cluster).run, table)
        finally:
            cluster.stop()
    return conclude(results, table, "jobs")


if __name__ == "__main__":
    sys.exit(main())
