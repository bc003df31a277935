"""The result of a run as one JSON object."""

from __future__ import annotations

import platform
import statistics
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from eisbach.run.folder import read_lines
from eisbach.run.foretold import foretold
from eisbach.run.restarts import restart_times
from eisbach.run.shown import Shown
from eisbach.run.times import shares

if TYPE_CHECKING:
    from eisbach.job import Job

_AXES = ("pipeline", "data", "context", "tensor")


def _checkpoints(job: Job) -> dict[str, Any]:
    """What a checkpoint costs here: for whoever plans how often to save."""
    saves = read_lines(job.folder.saves)

    def median(name: str) -> float | None:
        values = [line[name] for line in saves if line.get(name) is not None]
        return statistics.median(values) if values else None

    return {
        "saved": len(saves),
        "bytes": saves[-1].get("bytes") if saves else None,
        "seconds": median("seconds"),
        "stall_seconds": median("stall_seconds"),
        "bytes_per_second": median("bytes_per_second"),
        "load_seconds": job.load_seconds,
    }


def summary(job: Job) -> dict[str, Any]:
    """Returns what `summary.json` says of a job at its end."""
    import numpy

    from eisbach import _C

    steps = read_lines(job.folder.metrics)
    seconds = sum(line.get("step_seconds", 0.0) for line in steps)
    last = (steps or [{}])[-1]
    parent = job.folder.parent
    validation = (read_lines(job.folder.validation) or [{}])[-1]
    return {
        "steps": job.config.train.steps,
        "parent": parent and asdict(parent),
        "loss": last.get("loss"),
        "validation_loss": validation.get("loss"),
        "bits_per_byte": validation.get("bits_per_byte"),
        "parameters": job.engine.config.model.parameters,
        "trained_parameters": job.engine.config.model.trained_parameters,
        "tokens": last.get("tokens", 0),
        "skipped_steps": sum(bool(line.get("skipped")) for line in steps),
        "training_seconds": seconds,
        "time_shares": shares(steps),
        "checkpoints": _checkpoints(job),
        "restarts": restart_times(job.folder),
        "foretold": Shown("the forecast")(foretold, job, steps),
        "ranks": job.world.size,
        "transport": job.world.communicator.transport,
        "layout": {axis: job.context.size(axis) for axis in _AXES},
        "compute": job.config.precision.compute,
        "versions": {
            "python": platform.python_version(),
            "numpy": numpy.__version__,
            **_C.build_info(),
        },
        "host": {
            "name": platform.node(),
            "system": platform.platform(),
            "machine": platform.machine(),
        },
    }
