"""Everything that a run tells: on the screen and in its folder."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

from eisbach.run.events import EventWriter
from eisbach.run.folder import RunFolder, read_lines, write_atomically
from eisbach.run.metrics import LineWriter, StepMetrics, ValidationMetrics
from eisbach.run.plot import plot_loss
from eisbach.run.progress import Progress


class Reporter:
    """Writes metrics, events, progress, summary and picture; rank 0 only.

    Leaving its context closes every file and draws the loss curve, also when
    the run ends by an error.
    """

    def __init__(
        self, folder: RunFolder, *, steps: int, first: int, log_every: int
    ):
        """Opens the files of the run.

        Args:
          folder: Of the run.
          steps: Of the whole run.
          first: Steps that an earlier run did, from which this one resumes.
          log_every: Steps between two lines on the screen.
        """
        self.folder = folder
        self._steps = LineWriter(folder.metrics, keep_until=first)
        self._validations = LineWriter(folder.validation, keep_until=first)
        self._events = EventWriter(folder.events, first=first)
        self._progress = Progress(steps=steps, first=first, log_every=log_every)

    def say(self, line: str = "") -> None:
        """Prints a line."""
        self._progress.say(line)

    def step(self, now: StepMetrics) -> None:
        """Reports a step."""
        self._steps.write(now)
        self._events.write(now)
        self._progress.step(now)

    def validation(self, now: ValidationMetrics) -> None:
        """Reports a validation."""
        self._validations.write(now)
        self._events.write(now)
        self._progress.validation(now)

    def summary(self, facts: dict[str, Any]) -> None:
        """Writes `summary.json`."""
        text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
        write_atomically(self.folder.summary, text)

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.close()
        for sink in (self._steps, self._validations, self._events):
            sink.close()
        steps = read_lines(self.folder.metrics)
        if steps:
            plot_loss(
                self.folder.plot,
                steps,
                read_lines(self.folder.validation),
                title=self.folder.path.name,
            )
