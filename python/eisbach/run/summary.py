"""The result of a run as one JSON object."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from eisbach.run.folder import read_lines
from eisbach.run.restarts import restart_times
from eisbach.run.times import shares

if TYPE_CHECKING:
    from eisbach.job import Job

_AXES = ("pipeline", "data", "tensor")


def summary(job: Job) -> dict[str, Any]:
    """Returns what `summary.json` says of a job at its end."""
    import numpy

    from eisbach import _C

    steps = read_lines(job.folder.metrics)
    seconds = sum(line.get("step_seconds", 0.0) for line in steps)
    last = (steps or [{}])[-1]
    validation = (read_lines(job.folder.validation) or [{}])[-1]
    return {
        "steps": job.config.train.steps,
        "loss": last.get("loss"),
        "validation_loss": validation.get("loss"),
        "bits_per_byte": validation.get("bits_per_byte"),
        "parameters": job.engine.config.model.parameters,
        "tokens": last.get("tokens", 0),
        "training_seconds": seconds,
        "time_shares": shares(steps),
        "restarts": restart_times(job.folder),
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
