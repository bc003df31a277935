"""What is done with jobs of SLURM, and what is to come of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from slurm.job import Job


@dataclass(frozen=True)
class Case:
    """A way to start a job and to end it.

    Attributes:
      name: Of it.
      do: Submits the job and does what is done to it; what it returns is wrong.
      ends: The state that SLURM shows at its end.
      steps: Of the run.
      whole: Whether the run comes to its end, as if nothing had been done.
      restarts: That SLURM counts; None for one or more.
    """

    name: str
    do: Callable[[Job], str]
    ends: str = "COMPLETED"
    steps: int = 300
    whole: bool = True
    restarts: int | None = 0


def _submit(job: Job) -> str:
    job.submit()
    return ""


def _mpirun(job: Job) -> str:
    words = " ".join(job.train)
    job.wrap(f"{job.tool('mpirun')} --bind-to none -n 4 {words}")
    return ""


def _srun(job: Job) -> str:
    words = " ".join(job.train)
    job.wrap(f"srun --mpi=pmix -n 4 {words}")
    return ""


def _cancel(job: Job) -> str:
    job.submit()
    job.wait_for_steps(40)
    job.cancel()
    job.wait()
    found = job.checkpoints()
    if not found:
        return "there is no checkpoint"
    last = int(found[-1].name.removeprefix("step-"))
    done = len(job.metrics())
    return "" if last == done else f"checkpoint {last} after step {done}"


def _time_limit(name: str) -> Callable[[Job], str]:
    def do(job: Job) -> str:
        # SLURM looks at time limits twice a minute.
        job.submit("--time=1", f"--signal=B:{name}@45")
        job.wait_for(lambda: job.is_over or job.shown("Restarts") != "0")
        if job.is_over:
            return f"its time was not over before its end: {job.state}"
        job.scontrol("update", "TimeLimit=UNLIMITED")
        return ""

    return do


def _requeue(job: Job) -> str:
    job.submit()
    job.wait_for_steps(40)
    job.scontrol("requeue")
    return ""


def _rank_killed(job: Job) -> str:
    job.submit()
    job.wait_for_steps(40)
    os.kill(job.ranks(job.cluster.nodes[1])[0], signal.SIGKILL)
    return ""


def _node_lost(job: Job) -> str:
    job.submit()
    job.wait_for_steps(40)
    node = job.cluster.nodes[1]
    job.cluster.hosts.lose(node)
    job.wait_for(lambda: job.state != "RUNNING")
    job.cluster.hosts.start(node)
    job.cluster.start_node(node)
    return ""


_LONG = 2500

CASES = (
    Case("submit", _submit),
    Case("mpirun inside sbatch", _mpirun),
    Case("srun --mpi=pmix", _srun),
    Case("scancel", _cancel, ends="CANCELLED", steps=100000, whole=False),
    Case("time limit, USR1", _time_limit("USR1"), steps=_LONG, restarts=None),
    Case("time limit, TERM", _time_limit("TERM"), steps=_LONG, restarts=None),
    Case("scontrol requeue", _requeue, restarts=1),
    Case("a rank killed", _rank_killed),
    Case("a node lost, and back", _node_lost, restarts=None),
)
