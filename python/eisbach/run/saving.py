"""When a run writes a checkpoint, and which older ones stay."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

from eisbach.job import begin_save
from eisbach.run.checkpoints import mark_damaged, prune
from eisbach.run.metrics import SaveMetrics
from eisbach.run.output import warn
from eisbach.run.shown import Shown

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.job import Job
    from eisbach.run.reporter import Reporter


def due(step: int, every: int) -> bool:
    """Whether it is time after a step; `every` 0 is never."""
    return every > 0 and step % every == 0


class Saver:
    """Writes the checkpoints of a run; every rank has one.

    A checkpoint that cannot be written is a warning, and the next one is tried
    when it is due, unless `checkpoint.on_error` says otherwise: to end the run
    would lose what it was to keep.
    """

    def __init__(self, job: Job, report: Reporter | None):
        """Takes the job, and rank 0's reporter."""
        self._job = job
        self._plan = job.config.checkpoint
        self._report = report
        self._step = job.first
        self._time = time.monotonic()
        self._error: Exception | None = None
        self._prune = Shown("the deletion of old checkpoints", again=True)

    def asks(self) -> None:
        """Asks all ranks for a checkpoint when the time has come.

        They agree on the step after which it is written.
        """
        minutes = self._plan.every_minutes
        if (
            self._report
            and minutes
            and time.monotonic() > self._time + 60 * minutes
        ):
            self._job.engine.ask_to_save()
            self._time = time.monotonic()

    def save(self, *, last: bool = False) -> None:
        """Writes a checkpoint of the step done last; collective.

        What a resume reads beside it is on disk before it appears. Older
        checkpoints go after that.

        Args:
          last: Returns when it is on disk; else a later step may end it, with
            `ended`.
        """
        step = self._job.train.step
        if step != self._step and self._waits(last):
            if self._report:
                self._report.sync()
            self._time = time.monotonic()
            try:
                begin_save(self._job)
            except Exception as error:  # the same on all ranks
                self._failed(step, error)
                return
            self._step = step
        if last or not self._plan.asynchronous:
            self.finish()

    def _waits(self, last: bool) -> bool:
        """Makes way for a checkpoint; False where it is to be skipped."""
        if not self._job.engine.saving:
            return True
        if self._plan.when_busy == "wait" or last:
            self.finish()
            return True
        if self._report:
            self._report.say(
                f"no checkpoint of step {self._job.train.step}: the one before "
                "is still being written (checkpoint.when_busy=skip)"
            )
        return False

    def finish(self) -> None:
        """Waits for the checkpoint that is being written; collective."""
        if outcome := self._job.engine.finish_save():
            self.ended(outcome)

    def ended(self, outcome: _C.SaveOutcome) -> None:
        """Takes note of how a checkpoint ended; on every rank."""
        try:
            outcome.check()
        except Exception as error:  # the same on all ranks
            self._failed(outcome.step, error)
            return
        self._error = None
        self._time = time.monotonic()
        if self._report:
            self._report.saved(SaveMetrics.of(outcome))
            self._prune(
                prune,
                self._job.folder,
                keep=self._plan.keep,
                every=self._plan.keep_every,
                best=self._plan.keep_best,
                spare=self._job.first,
            )

    def _failed(self, step: int, error: Exception) -> None:
        self._error = error
        self._step = -1  # this step may be tried again
        if self._plan.on_error == "stop":
            raise error
        if self._report:
            warn(f"no checkpoint of step {step}: {error}")

    def __enter__(self) -> Saver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends what is being written where a step ends all ranks by an error.

        Weights that were good are not lost for it, and those that may be wrong
        are not gone on with.
        """
        engine = self._job.engine
        if error is not None and engine.failed_alike:
            self.finish()
            if engine.replicas_differ and self._report:
                self._put_aside(max(engine.replicas_equal_at, self._job.first))

    def _put_aside(self, step: int) -> None:
        """Renames checkpoints that may hold wrong bits: those after `step`."""
        for at, path in self._job.folder.saved().items():
            if at > step:
                warn(
                    f"{path} may hold wrong bits, as replicas were last equal "
                    f"after step {step}; it is now {mark_damaged(path)}"
                )

    def check(self) -> None:
        """Raises the error of the last checkpoint, if it had one."""
        if self._error:
            raise self._error


def what_a_stop_loses(job: Job) -> str:
    """Says which checkpoints are written, and so what is lost without."""
    plan = job.config.checkpoint
    every = [
        text
        for text in (
            f"{plan.every_steps} steps" if plan.every_steps else "",
            f"{plan.every_minutes:g} minutes" if plan.every_minutes else "",
        )
        if text
    ]
    if not every:
        return (
            "saves at the end and when it is told to stop; a crash loses "
            "everything (checkpoint.every_minutes=0)"
        )
    return (
        f"saves every {' and every '.join(every)}, at the end and when it is "
        "told to stop; a crash loses what came after the last checkpoint"
    )
