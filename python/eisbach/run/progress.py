"""Progress of a run: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import os
import stat
import sys
import time
from dataclasses import dataclass
from typing import TextIO

from eisbach.run.ledger import BadStep
from eisbach.run.metrics import StepMetrics, ValidationMetrics
from eisbach.run.process import launched

# Those of Open MPI, on the host of its mpirun and on others.
_LAUNCHERS = ("mpirun", "mpiexec", "orterun", "prterun", "orted", "prted")
# Of a terminal that does not say how wide it is; no line of progress is wider.
_COLUMNS = 80
# From here on a line does not repeat the number of steps.
_MANY_STEPS = 10_000


@dataclass(frozen=True)
class Terminal:
    """Where a person reads what is written.

    Attributes:
      columns: How wide it is.
    """

    columns: int


def find_terminal(stream: TextIO) -> Terminal | None:
    """Returns the terminal on which a stream ends up; None for a file.

    An mpirun passes on what its ranks write, by a pipe or a terminal of its
    own making: then its own output decides.
    """
    launcher = _find_launcher() if launched() else 0
    if not launcher:
        if not stream.isatty():
            return None
        return Terminal(_columns_of(stream.fileno()))
    if not (stream.isatty() or _is_pipe(stream)):
        return None
    try:
        output = os.open(
            f"/proc/{launcher}/fd/1", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK
        )
    except OSError:  # another user's, or of a kind that cannot be opened
        return None
    try:
        return Terminal(_columns_of(output)) if os.isatty(output) else None
    finally:
        os.close(output)


def _find_launcher() -> int:
    """Returns the process above this one that is an mpirun; 0 for none."""
    process = os.getppid()
    while process > 1:
        try:
            with open(f"/proc/{process}/stat", encoding="utf-8") as stream:
                text = stream.read()
        except OSError:
            return 0
        # The name stands in parentheses and may hold some itself.
        name, _, rest = text.partition("(")[2].rpartition(")")
        if name in _LAUNCHERS:
            return process
        process = int(rest.split()[1])
    return 0


def _is_pipe(stream: TextIO) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _columns_of(descriptor: int) -> int:
    # A terminal that a program made for itself has no width.
    try:
        return os.get_terminal_size(descriptor).columns or _COLUMNS
    except OSError:
        return _COLUMNS


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
        if terminal := find_terminal(self._stream):
            self._bar, self._task = self._make_bar(terminal)
            self._bar.start()

    def _make_bar(self, terminal: Terminal):
        from rich import progress
        from rich.console import Console

        bar = progress.Progress(
            progress.TextColumn("step"),
            progress.MofNCompleteColumn(),
            progress.BarColumn(bar_width=None),
            progress.TextColumn("{task.description}"),
            progress.TimeRemainingColumn(compact=True),
            console=Console(
                file=self._stream,
                highlight=False,
                force_terminal=True,
                width=terminal.columns,
            ),
            expand=True,
        )
        task = bar.add_task("", total=self._steps, completed=self._first)
        return bar, task

    def say(self, line: str = "") -> None:
        """Prints a line, above the bar if there is one."""
        if self._bar:
            self._bar.console.print(line, markup=False, soft_wrap=True)
        else:
            print(line, file=self._stream, flush=True)

    def bad_step(self, now: BadStep) -> None:
        """Says what is wrong with a step."""
        self.say(f"{self._head(now.step)}  {now}")

    def step(self, now: StepMetrics) -> None:
        """Shows a step."""
        speed = f"{compact(now.tokens_per_second)} tok/s"
        if self._bar:
            self._bar.update(
                self._task,
                completed=now.step,
                description=f"loss {now.loss:.4f}  {speed}",
            )
        regular = now.step % self._log_every == 0
        if regular or now.step in (self._first + 1, self._steps):
            self.say(
                f"{self._head(now.step)}  loss {now.loss:.4f}"
                f"  norm {_norm(now.grad_norm)}  lr {now.learning_rate:.1e}"
                f"{_rewards(now)}  {speed}  left {self._left(now.step)}"
            )

    def _head(self, step: int) -> str:
        number = f"step {step:>{len(str(self._steps))}}"
        return (
            f"{number}/{self._steps}" if self._steps < _MANY_STEPS else number
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


def compact(count: float) -> str:
    """Spells a count in at most five letters, as in `2,129` and `57.8k`."""
    if count < 9_999.5:
        return f"{count:,.0f}"
    for letter, unit in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        for decimals in (1, 0):
            text = f"{count / unit:.{decimals}f}"
            if len(text) <= 4 and float(text) < 1000:
                return text + letter
    return f"{count:.0e}"


def _norm(value: float) -> str:
    return f"{value:.3f}" if value < 100 else f"{value:.1e}"


def _rewards(now: StepMetrics) -> str:
    if now.reward_margin is None:
        return ""
    return f"  margin {now.reward_margin:.3f}  right {now.reward_accuracy:.0%}"
