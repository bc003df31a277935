"""When a run writes a checkpoint, and which older ones stay."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from eisbach.job import save
from eisbach.run.checkpoints import prune
from eisbach.run.output import warn
from eisbach.run.shown import Shown

if TYPE_CHECKING:
    from eisbach.job import Job
    from eisbach.run.reporter import Reporter


def due(step: int, every: int) -> bool:
    """Whether it is time after a step; `every` 0 is never."""
    return every > 0 and step % every == 0


class Saver:
    """Writes the checkpoints of a run; every rank has one.

    A checkpoint that cannot be written is a warning, and the next one is tried
    when it is due: to end the run would lose what it was to keep.
    """

    def __init__(self, job: Job, report: Reporter | None):
        """Takes the job, and rank 0's reporter."""
        self._job = job
        self._report = report
        self._step = job.first
        self._time = time.monotonic()
        self._error: Exception | None = None
        self._prune = Shown("the deletion of old checkpoints", again=True)

    def asks(self) -> None:
        """Asks all ranks for a checkpoint when the time has come.

        They agree on the step after which it is written.
        """
        minutes = self._job.config.train.save_minutes
        if (
            self._report
            and minutes
            and time.monotonic() > self._time + 60 * minutes
        ):
            self._job.engine.ask_to_save()
            self._time = time.monotonic()

    def save(self) -> None:
        """Writes a checkpoint of the step done last; collective.

        What a resume reads beside it is on disk before it appears. Older
        checkpoints go after that.
        """
        job, train = self._job, self._job.config.train
        if job.train.step == self._step:
            return
        if self._report:
            self._report.sync()
        self._time = time.monotonic()
        try:
            save(job)
        except Exception as error:  # the same on all ranks
            self._error = error
            if self._report:
                warn(f"no checkpoint of step {job.train.step}: {error}")
            return
        self._error = None
        self._step = job.train.step
        self._time = time.monotonic()
        if self._report:
            self._prune(
                prune,
                job.folder,
                keep=train.keep,
                every=train.keep_every,
                spare=job.first,
            )

    def check(self) -> None:
        """Raises the error of the last checkpoint, if it had one."""
        if self._error:
            raise self._error


def what_a_stop_loses(job: Job) -> str:
    """Says which checkpoints are written, and so what is lost without."""
    train = job.config.train
    every = [
        text
        for text in (
            f"{train.save_every} steps" if train.save_every else "",
            f"{train.save_minutes:g} minutes" if train.save_minutes else "",
        )
        if text
    ]
    if not every:
        return (
            "saves at the end and when it is told to stop; a crash loses "
            "everything (train.save_minutes=0)"
        )
    return (
        f"saves every {' and every '.join(every)}, at the end and when it is "
        "told to stop; a crash loses what came after the last checkpoint"
    )
