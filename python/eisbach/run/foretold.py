"""What is foretold of a run, beside what it took."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from eisbach.hardware import (
    HardwareFile,
    machine_name,
    machine_of,
    path_of,
    read_hardware,
)

if TYPE_CHECKING:
    from eisbach.config import Config
    from eisbach.job import Job

# Steps in which memory is taken and kernels are prepared.
_WARM_UP = 2


def check_machine(config: Config) -> None:
    """Checks what `run.hardware` names.

    Raises:
      ConfigError: It is no machine, or not described right.
    """
    if config.run.hardware not in ("auto", "none"):
        read_hardware(config.run.hardware, asked_by="run.hardware")


def _machine(config: Config) -> HardwareFile | None:
    """What the machine of a run is described by; None: nothing."""
    from eisbach import _C

    name = config.run.hardware
    if name == "none":
        return None
    if name != "auto":
        return read_hardware(name, asked_by="run.hardware")
    name = machine_name(_C.threads())
    known = config.run.device == "cpu" and path_of(name)
    return read_hardware(name) if known else None


def foretold(job: Job, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns what `summary.json` says of it, for rank 0.

    The step runs once more on a device that computes nothing, which takes the
    time of its host code.

    Args:
      job: At its end.
      lines: Its metrics.
    """
    from eisbach import _C

    config, engine, mesh = job.config, job.engine, job.context.mesh
    device = config.run.device
    steps = [line for line in lines if line["step"] > job.first]
    memory = _C.estimate_memory(
        engine.config, mesh, job.world.rank, device=device
    )
    facts: dict[str, Any] = {
        "memory_bytes": memory.peak,
        "peak_memory_bytes": max(
            (line["peak_memory_bytes"] for line in steps), default=None
        ),
        "step_seconds": None,
        "median_step_seconds": _median(
            [line["step_seconds"] for line in steps]
        ),
        "hardware": None,
    }
    file = _machine(config)
    if file:
        step = _C.RecordedStep(engine.config, mesh, device=device)
        replayed = config.run.cuda_graphs and file.device == "cuda"
        forecast = step.on(machine_of(file), replayed=replayed)
        facts["step_seconds"] = forecast.seconds
        facts["hardware"] = file.name
    return facts


def _median(seconds: list[float]) -> float | None:
    some = seconds[_WARM_UP:] or seconds
    return statistics.median(some) if some else None


def spell_foretold(facts: dict[str, Any]) -> str:
    """Spells them in a line of at most 80 columns."""
    held, said = facts["peak_memory_bytes"] or 0, facts["memory_bytes"]
    line = f"rank 0 held {_mib(held)} MiB, foretold {_mib(said)}"
    took, said = facts["median_step_seconds"], facts["step_seconds"]
    if took is None or said is None:
        return line
    return f"{line}; a step took {took:.3g} s, foretold {said:.3g}"


def _mib(count: int) -> str:
    mib = count / 2**20
    return f"{mib:,.0f}" if mib >= 100 else f"{mib:.3g}"
