"""One run that is broken again and again, and what became of it."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from torture.faults import FAULTS, Fault
from torture.job import GLOBAL_BATCH, LAYOUTS, Job, Layout
from torture.record import Record

# With these `eisbach run` asks to be started again, or was ended by a fault.
_AGAIN = {75, 129, 130, 138, 143, -9, 137}
# In which a job must go on after a fault: a hundred times what it takes.
_PATIENCE_SECONDS = 300.0
# Losses on another layout differ by rounding, which grows with the steps.
TOLERANCE = 1e-3
OTHERS = "not as the unbroken run"


@dataclass(frozen=True)
class Unbroken:
    """What a run has that nobody broke."""

    metrics: list[dict[str, float]]
    weights: bytes


@dataclass(frozen=True)
class Strike:
    """A fault that was done to a job.

    Attributes:
      name: Of its kind.
      seconds: From there to the next step; None where none came.
    """

    name: str
    seconds: float | None


@dataclass
class Outcome:
    """What became of a run.

    Attributes:
      number: Of the trial.
      layouts: On which it ran, in turn.
      strikes: The faults that were done to it.
      lost: Samples that no step has used.
      twice: Samples that more than one step of the record has used.
      same: Whether losses and weights are those of the unbroken run: bit for
        bit on the same layout, to the tolerance where that changed.
      faults: What should not be.
    """

    number: int
    layouts: list[Layout]
    strikes: list[Strike] = field(default_factory=list)
    lost: int = 0
    twice: int = 0
    same: bool = False
    faults: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether the layout changed."""
        return len(set(self.layouts)) > 1


class Trials:
    """Draws runs and breaks them."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        steps: int,
        most: int,
        kinds: Sequence[Fault] = (),
        layouts: Sequence[Layout] = LAYOUTS,
        inside: Mapping[str, str] = MappingProxyType({}),
    ):
        """Takes a folder with a `disk` in it.

        Args:
          folder: For what is written.
          seed: A trial is its number and this.
          steps: Of each run.
          most: Faults of a run.
          kinds: Those that each run has, in turn; empty draws them.
          layouts: That are drawn from.
          inside: Variables with which ranks obey orders.
        """
        self._folder = folder
        self._disk = folder / "disk"
        self._seed = seed
        self._steps = steps
        self._most = most
        self._kinds = kinds
        self._layouts = layouts
        self._inside = inside
        self._unbroken: dict[Layout, Unbroken] = {}

    def run(self, number: int) -> Outcome:
        """Runs one trial; what is left of it is ended and deleted."""
        draw = random.Random(f"{self._seed}/{number}")
        outcome = Outcome(number, [draw.choice(self._layouts)])
        unbroken = self._whole(outcome.layouts[0])
        job = Job(self._disk, f"run{number}", self._steps, self._inside)
        try:
            job.start(outcome.layouts[0])
            self._break(job, draw, outcome)
            compare(job, unbroken, self._steps, outcome)
            outcome.faults += [f"left: {it}" for it in job.left(10.0)]
        finally:
            job.kill()
        if outcome.faults:
            end = job.log.read_text(errors="replace")[-4000:]
            outcome.faults.append(f"its end:\n{end}")
        shutil.rmtree(job.run, ignore_errors=True)
        return outcome

    def _whole(self, layout: Layout) -> Unbroken:
        """Runs once what nobody breaks."""
        if layout not in self._unbroken:
            name = f"whole-{str(layout).replace(' ', '-')}"
            job = Job(self._disk, name, self._steps, self._inside)
            try:
                job.start(layout)
                status = _wait(job, _PATIENCE_SECONDS)
            finally:
                job.kill()
            if status != 0:
                raise RuntimeError(
                    f"a run that nobody breaks ends with {status}:\n"
                    f"{job.log.read_text(errors='replace')}"
                )
            self._unbroken[layout] = Unbroken(job.metrics(), job.weights())
            shutil.rmtree(job.run)
        return self._unbroken[layout]

    def _break(self, job: Job, draw: random.Random, outcome: Outcome) -> None:
        """Does one fault after the other until the run has ended."""
        drawn = draw.choices(FAULTS, k=draw.randint(1, self._most))
        for fault in self._kinds or drawn:
            self._wait_for_moment(job, draw)
            if not (struck := self._strike(job, fault, draw)):
                continue
            seconds = self._recover(job, fault, *struck, draw, outcome)
            outcome.strikes.append(Strike(fault.name, seconds))
            if seconds is None:
                return
            outcome.faults += fault.told(job)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (status := _wait(job, 0.05)) != 0:
            if time.monotonic() > deadline:
                outcome.faults.append("the run does not come to its end")
                return
            if status is not None and not self._again(job, draw, outcome):
                return

    def _strike(
        self, job: Job, fault: Fault, draw: random.Random
    ) -> tuple[tuple[int, int], float] | None:
        """Does a fault; one that was asked for as soon as it can be done.

        Returns:
          The lines of the metrics before it, and when it was; None where there
          was nothing to break.
        """
        while job.status is None:
            before, start = job.lines(), time.monotonic()
            if fault.strike(job, draw):
                return (before, start) if fault.restarts else _now(job)
            if not self._kinds:
                break
            time.sleep(0.01)
        return None

    def _wait_for_moment(self, job: Job, draw: random.Random) -> None:
        """Waits for a random step, or for a moment of the start."""
        if not self._kinds and draw.random() < 0.2:
            _wait(job, draw.uniform(0.0, 3.0))
            return
        _, now = job.lines()
        # One that was asked for must not come too late.
        last = now + self._steps // 4 if self._kinds else self._steps - 1
        step = draw.randint(now, max(now, min(last, self._steps - 1)))
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while job.lines()[1] < step and time.monotonic() < deadline:
            if job.status is not None:
                return
            time.sleep(0.005)

    def _recover(
        self,
        job: Job,
        fault: Fault,
        before: tuple[int, int],
        start: float,
        draw: random.Random,
        outcome: Outcome,
    ) -> float | None:
        """Waits until a step is done again; returns after which time."""
        file, count = before
        while time.monotonic() < start + _PATIENCE_SECONDS:
            status = _wait(job, 0.01)
            if status == 0:
                return time.monotonic() - start
            if status is not None and not self._again(job, draw, outcome):
                return None
            now, lines = job.lines()
            if fault.restarts and now != file:
                file, count = now, lines  # of the new start, before its steps
            elif lines > count and (not fault.restarts or now != before[0]):
                return time.monotonic() - start
        outcome.faults.append(f"{fault.name}: no step came after it")
        return None

    def _again(self, job: Job, draw: random.Random, outcome: Outcome) -> bool:
        """Does what a scheduler or a person does with a run that has ended."""
        if job.status not in _AGAIN:
            outcome.faults.append(f"eisbach run ended with {job.status}")
            return False
        job.left(10.0)
        if draw.random() < 0.2:
            outcome.layouts.append(draw.choice(self._layouts))
        job.start(outcome.layouts[-1])
        return True


def compare(
    job: Record, unbroken: Unbroken, steps: int, outcome: Outcome
) -> None:
    """Holds the record and the weights against the unbroken run's."""
    if outcome.faults:
        return
    metrics = job.metrics()
    done = [int(line["step"]) for line in metrics]
    wanted = range(1, steps + 1)
    outcome.lost = GLOBAL_BATCH * len(set(wanted) - set(done))
    outcome.twice = GLOBAL_BATCH * (len(done) - len(set(done)))
    used = _samples(job.checkpoints()[-1])
    if used != GLOBAL_BATCH * steps:
        outcome.faults.append(f"the last checkpoint has used {used}")
    if done != list(wanted):
        outcome.faults.append(f"steps of the metrics: {done}")
        return
    outcome.same = (
        _near(metrics, unbroken.metrics)
        if outcome.changed
        else _bits(metrics) == _bits(unbroken.metrics)
        and job.weights() == unbroken.weights
    )
    if not outcome.same:
        outcome.faults.append(OTHERS)


def _wait(job: Job, seconds: float) -> int | None:
    """Waits for the end of `eisbach run`; None where it goes on."""
    deadline = time.monotonic() + seconds
    while (status := job.status) is None and time.monotonic() < deadline:
        time.sleep(min(0.02, seconds))
    return status


def _now(job: Job) -> tuple[tuple[int, int], float]:
    return job.lines(), time.monotonic()


def _samples(checkpoint: Path) -> int:
    state = json.loads((checkpoint / "manifest.json").read_text())["state"]
    return (json.loads(state) if isinstance(state, str) else state)["samples"]


def _bits(metrics: list[dict[str, float]]) -> list[tuple[float, ...]]:
    names = ("loss", "grad_norm", "learning_rate", "tokens")
    return [tuple(line[name] for name in names) for line in metrics]


def _near(
    metrics: list[dict[str, float]], wanted: list[dict[str, float]]
) -> bool:
    return all(
        abs(a["loss"] - b["loss"]) <= TOLERANCE * b["loss"]
        for a, b in zip(metrics, wanted, strict=True)
    )
