"""Progress of a run: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import os
import sys
import time
from typing import TextIO

from eisbach.run.metrics import StepMetrics, ValidationMetrics
from eisbach.run.process import launched


def on_terminal(stream: TextIO) -> bool:
    """Whether a person sees what is written.

    mpirun gives each rank a terminal of its own, whatever it does with the
    output; then its own output decides.
    """
    if not stream.isatty():
        return False
    if not launched():
        return True
    try:
        target = os.readlink(f"/proc/{os.getppid()}/fd/1")
    except OSError:
        return False
    return target.startswith(("/dev/pts/", "/dev/tty"))


class Progress:
    """Shows steps on the screen.

    On a terminal a bar is redrawn after each step and a line is left every
    `log_every` steps; elsewhere there are only the lines.
    """

    def __init__(
        self,
        *,
        steps: int,
        first: int = 0,
        log_every: int,
        stream: TextIO | None = None,
    ):
        """Starts to count time.

        Args:
          steps: Of the whole run.
          first: Steps that an earlier run did.
          log_every: Steps between two lines.
          stream: Where to write; None is standard output.
        """
        self._stream = stream or sys.stdout
        self._steps = steps
        self._first = first
        self._log_every = log_every
        self._start = time.monotonic()
        self._bar = None
        if on_terminal(self._stream):
            self._bar, self._task = self._make_bar()
            self._bar.start()

    def _make_bar(self):
        from rich import progress
        from rich.console import Console

        bar = progress.Progress(
            progress.TextColumn("step"),
            progress.MofNCompleteColumn(),
            progress.BarColumn(),
            progress.TextColumn("{task.description}"),
            progress.TimeRemainingColumn(compact=True),
            console=Console(file=self._stream, highlight=False),
        )
        task = bar.add_task("", total=self._steps, completed=self._first)
        return bar, task

    def say(self, line: str = "") -> None:
        """Prints a line, above the bar if there is one."""
        if self._bar:
            self._bar.console.print(line, markup=False, soft_wrap=True)
        else:
            print(line, file=self._stream, flush=True)

    def step(self, now: StepMetrics) -> None:
        """Shows a step."""
        if self._bar:
            self._bar.update(
                self._task,
                completed=now.step,
                description=f"loss {now.loss:.4f}  "
                f"{now.tokens_per_second:,.0f} tokens/s",
            )
        if now.skipped:
            self.say(
                f"step {now.step:>{len(str(self._steps))}}/{self._steps}"
                f"  skipped: a gradient overflowed at loss scale"
                f" {now.loss_scale:g}; the scale halves"
            )
        regular = now.step % self._log_every == 0
        if regular or now.step in (self._first + 1, self._steps):
            self.say(
                f"step {now.step:>{len(str(self._steps))}}/{self._steps}"
                f"  loss {now.loss:.4f}  grad_norm {now.grad_norm:.3f}"
                f"  lr {now.learning_rate:.2e}"
                f"  {now.tokens_per_second:,.0f} tokens/s"
                f"  left {self._left(now.step)}"
            )

    def validation(self, now: ValidationMetrics) -> None:
        """Shows a validation."""
        bits = ""
        if now.bits_per_byte is not None:
            bits = f"  {now.bits_per_byte:.4f} bits per byte"
        self.say(f"validation at step {now.step}  loss {now.loss:.4f}{bits}")

    def _left(self, step: int) -> str:
        done = step - self._first
        spent = time.monotonic() - self._start
        return duration(spent / done * (self._steps - step))

    def close(self) -> None:
        """Takes the bar off the screen; a second time does nothing."""
        if self._bar:
            self._bar.stop()


def duration(seconds: float) -> str:
    """Spells a time span in its two largest units, as in `3m07s`."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{whole % 60:02}s" if minutes else f"{whole}s"
