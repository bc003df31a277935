"""`eisbach run`: starts a job, and starts it again after a fault."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eisbach.run.command import TrainCommand
from eisbach.run.descendants import adopt_orphans, kill_children
from eisbach.run.failed_hosts import FailedHosts
from eisbach.run.faults import read_fault
from eisbach.run.folder import RunFolder
from eisbach.run.launch import (
    GRACE,
    Ended,
    Launch,
    default_end_file,
    received,
    run_job,
)
from eisbach.run.listener import STDERR, STDOUT, Listener
from eisbach.run.output import tell
from eisbach.run.restarts import Supervised
from eisbach.run.statuses import DO_NOT_REQUEUE, is_final, stopped_by

# Faults in a row without a newer checkpoint after which nothing is tried again.
MOST_CYCLES = 3
# Before a start that follows a fault without progress: what has failed, a host
# or a network, may come back.
PAUSE_SECONDS = 5.0
# Open MPI 5 gathers what its ranks have to say, and then loses the name of a
# host whose rank is gone where another rank ends the job for it.
_TELLING = {"OMPI_MCA_opal_base_help_aggregate": "0"}


def supervise(
    command: Sequence[str],
    *,
    restarts: int,
    grace: float = GRACE,
    end_file: Path | None = None,
    pause: float = PAUSE_SECONDS,
) -> int:
    """Runs a training job, and starts it again after a fault.

    Args:
      command: `mpirun`, its arguments and `eisbach train ...`.
      restarts: How often it may be started again.
      grace: Seconds that all ranks have from a signal on.
      end_file: As in `Launch`; None takes a file in the current folder.
      pause: Seconds before a start that follows a fault without progress.

    Returns:
      The status of the last start, or 93 where new ones brought no progress.

    Raises:
      ValueError: `command` is none of training, or cannot be started.
    """
    job = TrainCommand(command)
    path = (end_file or default_end_file()).absolute()
    adopt_orphans()
    with received() as signals:
        return _Supervisor(job, path, grace, signals).run(restarts, pause)


class _Supervisor:
    """The starts of one job."""

    def __init__(
        self,
        job: TrainCommand,
        end_file: Path,
        grace: float,
        signals: list[signal.Signals],
    ):
        self._job = job
        self._end_file = end_file
        self._grace = grace
        self._signals = signals
        self._supervised = Supervised(started=time.time())
        self._step = -1  # of the newest checkpoint so far
        self._idle = 0  # faults in a row without a newer one
        self._failed = FailedHosts()

    def run(self, restarts: int, pause: float) -> int:
        """Starts the job until it needs no other start; returns the status."""
        try:
            return self._run(restarts, pause)
        finally:
            try:
                self._supervised.close(max(self._saved(), default=0) + 1)
            except (OSError, ValueError) as error:
                tell(f"eisbach run: restarts.jsonl is not complete: {error}")

    def _run(self, restarts: int, pause: float) -> int:
        for count in range(restarts + 1):
            ended, said = self._start()
            if self._is_over(ended, first=not count):
                return ended.status
            fault = read_fault(said, ended.status)
            self._look_for_progress(ended)
            if why := self._gives_up():
                tell(f"eisbach run: {fault.cause}; {why}")
                return DO_NOT_REQUEUE
            if count == restarts:
                tell(f"eisbach run: {fault.cause}; no restart is left")
                return ended.status
            number = count + 1
            tell(f"eisbach run: {fault.cause}; {self._next(number, restarts)}")
            folder = self._supervised.folder
            if told := self._failed.after(fault.host, self._job, folder):
                tell(f"eisbach run: {told}")
            self._supervised = self._supervised.again(
                fault.cause, ended.status, ended.seconds
            )
            if self._idle and self._is_stopped_within(pause):
                return stopped_by(self._signals[0])
        raise AssertionError

    def _start(self) -> tuple[Ended, str]:
        """Runs the job once; returns what it said at its end as well."""
        with Listener(STDERR) as errors, Listener(STDOUT) as output:
            ended = run_job(
                Launch(
                    self._job.start(),
                    self._end_file,
                    self._grace,
                    name="run",
                    variables={**_TELLING, **self._supervised.variables},
                    errors=errors.entry,
                    # There Open MPI 5 tells of hosts that it cannot log in at.
                    # A run without it may draw on a terminal.
                    output=output.entry if self._job.launcher else None,
                    trains=True,
                ),
                self._signals,
            )
            # A launcher that was killed leaves ranks, which hold the folder.
            kill_children()
        return ended, f"{errors.said}\n{output.said}"

    def _is_over(self, ended: Ended, *, first: bool) -> bool:
        """Whether another start is not wanted, or would end the same way."""
        refused = first and ended.told.refused
        return bool(self._signals) or is_final(ended.status) or refused

    def _look_for_progress(self, ended: Ended) -> None:
        if folder := ended.told.folder:
            self._job.go_on(folder)
            self._supervised = replace(self._supervised, folder=str(folder))
        step = max(self._saved(), default=-1)
        self._idle = 0 if step > self._step else self._idle + 1
        self._step = max(step, self._step)

    def _saved(self) -> list[int]:
        folder = self._supervised.folder
        return list(RunFolder(folder).saved()) if folder else []

    def _gives_up(self) -> str:
        """Says why nothing is tried again; empty where something is."""
        if self._idle >= MOST_CYCLES:
            at = f"step {self._step}" if self._step >= 0 else "its start"
            return f"{self._idle} starts did not get past {at}: gives up"
        if self._step >= 0 and not self._saved():
            return f"the checkpoints in {self._supervised.folder} are gone"
        return ""

    def _next(self, number: int, restarts: int) -> str:
        step = max(self._saved(), default=0)
        return f"starts again from step {step} (restart {number} of {restarts})"

    def _is_stopped_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not self._signals and time.monotonic() < end:
            time.sleep(0.05)
        return bool(self._signals)
