"""Everything that a run tells: on the screen and in its folder."""

from __future__ import annotations

import atexit
import contextlib
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from eisbach.files import write_atomically
from eisbach.run.events import EventWriter
from eisbach.run.folder import RunFolder
from eisbach.run.followers.started import Followers
from eisbach.run.held import LostError
from eisbach.run.ledger import BadStep
from eisbach.run.lines import missing
from eisbach.run.metrics import (
    LineWriter,
    SaveMetrics,
    StepMetrics,
    ValidationMetrics,
)
from eisbach.run.output import Output, warn
from eisbach.run.picture import Picture
from eisbach.run.plot import plot_folder
from eisbach.run.progress import Progress
from eisbach.run.restarts import RestartFile
from eisbach.run.shown import Shown

if TYPE_CHECKING:
    from eisbach.job import Job

# For the last curve, where a signal leaves little time.
_HURRY_SECONDS = 2.0
# What a curve that is being drawn then has left at the very end.
_LAST_SECONDS = 5.0


class Reporter:
    """Writes metrics, events, progress, summary and picture; rank 0 only.

    Metrics are the record of the run. All else is only shown: where it fails
    a warning says so, and the run goes on. Leaving the context closes every
    file and draws the loss curve, also when the run ends by an error.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        steps: int,
        first: int,
        ranks: int = 1,
        log_every: int,
        followers: Sequence[str] = (),
        metrics_port: int = 0,
    ):
        """Opens the files of the run.

        Args:
          folder: Of the run.
          steps: Of the whole run.
          first: Steps that an earlier run did, from which this one resumes.
          ranks: Of the job.
          log_every: Steps between two lines on the screen.
          followers: Trackers to start.
          metrics_port: Where Prometheus finds the figures; 0 for nowhere.
        """
        self.folder = folder
        self._restarts: RestartFile | None = RestartFile(folder)
        self._ranks = ranks
        self._steps = LineWriter(folder.metrics, keep_until=first)
        self._validations = LineWriter(folder.validation, keep_until=first)
        self._saves = LineWriter(folder.saves, keep_until=first)
        self._ledger = LineWriter(folder.ledger, keep_until=first)
        begin = folder.parent.step if folder.parent else 0
        if gaps := missing(self._steps.lines, first, after=begin):
            warn(f"{folder.metrics}: steps without a line: {gaps}")
        self._sync = Shown("the sync of metrics", again=True)
        self._show_events = Shown("tensorboard/")
        self._show_progress = Shown("progress")
        self._show_plot = Shown("loss.png")
        self._patience: float | None = None
        self._events = self._show_events(
            EventWriter, folder.events, first=first
        )
        self._show_followers = Shown("followers")
        self._picture = Picture(folder)
        self._followers = self._show_followers(
            Followers, folder, followers, metrics_port
        )
        self._output = Output(sys.stdout, name="standard output")
        self._progress = self._show_progress(
            Progress,
            steps=steps,
            first=first,
            log_every=log_every,
            stream=self._output,
        )

    @classmethod
    def of(cls, job: Job) -> Reporter:
        """Opens the files of a job's run."""
        return cls(
            job.folder,
            steps=job.config.train.steps,
            first=job.first,
            ranks=job.world.size,
            log_every=job.config.run.log_every,
            followers=job.config.run.followers,
            metrics_port=job.config.run.metrics_port,
        )

    def say(self, line: str = "") -> None:
        """Prints a line."""
        if self._progress:
            self._show_progress(self._progress.say, line)

    def step(self, now: StepMetrics) -> None:
        """Reports a step; LostError where the run folder is gone."""
        with self._in_its_folder():
            self._steps.write(now)
        if self._restarts:
            restarts, self._restarts = self._restarts, None
            Shown("restarts.jsonl")(restarts.first_step, now.step, self._ranks)
        if self._events:
            self._show_events(self._events.write, now)
        if self._progress:
            self._show_progress(self._progress.step, now)
        self._show_plot(self._picture.step)
        if self._followers:
            self._show_followers(self._followers.step)

    def bad_step(self, now: BadStep) -> None:
        """Reports a step that was skipped or done twice, before `step` does.

        LostError as there.
        """
        with self._in_its_folder():
            self._ledger.write(now)
        if self._progress:
            self._show_progress(self._progress.bad_step, now)

    def validation(self, now: ValidationMetrics) -> None:
        """Reports a validation; LostError as in `step`."""
        with self._in_its_folder():
            self._validations.write(now)
        if self._events:
            self._show_events(self._events.write, now)
        if self._progress:
            self._show_progress(self._progress.validation, now)

    def saved(self, now: SaveMetrics) -> None:
        """Reports a checkpoint; LostError as in `step`."""
        with self._in_its_folder():
            self._saves.write(now)

    def sync(self) -> None:
        """Returns when the metrics so far are on disk, or a warning says why.

        Weights are worth more than their metrics: what needs the disk next
        finds out for itself. LostError as in `step`.
        """
        with self._in_its_folder():
            for sink in (self._ledger, self._steps, self._validations):
                self._sync(sink.sync)

    @contextlib.contextmanager
    def _in_its_folder(self) -> Iterator[None]:
        """Names the folder where that is lost, not a file that is in it."""
        self.folder.check()
        try:
            yield
        except LostError:
            self.folder.check()
            raise

    def summary(self, facts: dict[str, Any]) -> None:
        """Writes `summary.json`, or a warning says why not.

        LostError as in `step`.
        """
        self.folder.check()
        text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
        Shown("summary.json")(write_atomically, self.folder.summary, text)

    def hurry(self) -> None:
        """Says that the process must end soon; it may be without a curve."""
        self._patience = _HURRY_SECONDS

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:  # other ranks wait for this one to tell it
            self.hurry()
        if self._progress:
            self._show_progress(self._progress.close)
        for sink in (
            self._ledger,
            self._steps,
            self._validations,
            self._saves,
        ):
            sink.close()
        if self._events:
            self._show_events(self._events.close)
        Shown("loss.png")(self._picture.close)
        if not self.folder.lost():
            self._draw()
        if self._followers:
            self._show_followers(self._followers.close)
        self._output.close()
        if error is None:
            self.folder.check()

    def _draw(self) -> None:
        painter = threading.Thread(
            target=self._show_plot, args=(plot_folder, self.folder), daemon=True
        )
        painter.start()
        painter.join(self._patience)
        if painter.is_alive():
            # Python ends a thread where it comes back from code in C++, which
            # does not take that and aborts the process.
            atexit.register(painter.join, _LAST_SECONDS)
