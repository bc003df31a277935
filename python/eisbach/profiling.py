"""`eisbach profile`: a few traced steps of a run, on every rank."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.config import Config
from eisbach.files import write_atomically
from eisbach.job import Job, set_up
from eisbach.run.opening import opening
from eisbach.run.profile_report import as_json, report
from eisbach.run.signals import SignalWatch
from eisbach.run.statuses import DONE, killed_by
from eisbach.run.trace import chrome_trace

if TYPE_CHECKING:
    from eisbach import _C


@dataclass(frozen=True)
class ProfilePlan:
    """What is traced.

    Attributes:
      steps: Traced steps, at least 1.
      warmup: Steps before them, in which memory is taken and kernels are
        prepared; at least 0.
    """

    steps: int = 5
    warmup: int = 2

    def check(self) -> None:
        """Checks the numbers.

        Raises:
          ValueError: One is too small.
        """
        for name, value, least in (
            ("steps", self.steps, 1),
            ("warmup", self.warmup, 0),
        ):
            if value < least:
                raise ValueError(
                    f"--{name}={value} is below {least}; "
                    f"nearest that works: {least}"
                )


def in_folder(config: Config, output: Path | None) -> Config:
    """Returns a copy that says where a profile is written.

    Args:
      config: With a name.
      output: The folder; None takes the run's own and `-profile`. Where it
        exists, `-2` and so on follows.
    """
    if output is None:
        name = f"{config.run.name}-profile"
        return config.derive("run.name", name, "eisbach profile")
    if output.name in ("", ".."):
        output = output.resolve()
    config = config.derive("run.dir", str(output.parent), "--output")
    return config.derive("run.name", output.name, "--output")


def profile(config: Config, plan: ProfilePlan) -> int:
    """Measures the machine, then traces steps of real training; collective.

    Rank 0 writes `trace.json`, `profile.json` and `profile.txt` in a new run
    folder. Nothing is validated, saved or exported.

    Args:
      config: Resolved, the vocabulary apart.
      plan: What is traced.

    Returns:
      The exit status, the same on all ranks: 0, or 128 + the signal that
      stopped it.

    Raises:
      ValueError: Sizes do not fit, data is damaged, `plan` makes no sense.
    """
    from eisbach import _C

    plan.check()
    # A schedule ends with the run; a profile may be longer.
    steps = max(config.train.steps, plan.warmup + plan.steps)
    config = config.derive("train.steps", steps, "eisbach profile")
    with SignalWatch() as watch:
        job = set_up(config)
        say = print if job.world.rank == 0 else _nothing
        for line in opening(job):
            say(line, flush=True)
        peak = _C.measure_peak(job.world)
        device = job.engine.device
        watch.on_signal(job.engine.ask_to_stop)
        for count in range(plan.warmup + plan.steps):
            batch = job.train.next(device)
            if count == plan.warmup:
                job.world.barrier()
                device.start_recording()
            if job.engine.step(batch).asked_to_stop:
                watch.loop_ended()
                number = watch.agree(job.world)
                return killed_by(number) if number else DONE
        traces = _C.gather_traces(job.world, peak)
        if traces:
            result = _C.summarise(traces, compute=job.config.precision.compute)
            say(_write(job, plan, traces, result), end="", flush=True)
    job.world.barrier()
    return DONE


def _nothing(*_: object, **__: object) -> None:
    pass


def _write(
    job: Job,
    plan: ProfilePlan,
    traces: list[_C.RankTrace],
    result: _C.Profile,
) -> str:
    """Fills the folder; returns what there is to tell."""
    config = job.config
    tokens = config.train.global_batch * job.engine.config.model.context
    facts: dict[str, Any] = {
        "ranks": job.world.size,
        "layout": {
            axis: job.context.size(axis)
            for axis in ("pipeline", "data", "context", "tensor")
        },
        "compute": config.precision.compute,
        "warmup_steps": plan.warmup,
        "tokens_per_second": tokens / result.step_seconds,
        **as_json(traces, result),
    }
    folder = job.folder.path
    text = report(traces, result, facts)
    for name, content in (
        ("trace.json", json.dumps(chrome_trace(traces), allow_nan=False)),
        ("profile.json", json.dumps(facts, indent=2, allow_nan=False) + "\n"),
        ("profile.txt", text),
    ):
        write_atomically(folder / name, content)
    return (
        f"{text}\ntrace: {folder / 'trace.json'} (open it in "
        f"https://ui.perfetto.dev)\nprofile folder: {folder}\n"
    )
