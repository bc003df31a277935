"""What a plan says where nothing fits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from eisbach.planning import words
from eisbach.planning.make import CHOSEN, Plan, value_of

if TYPE_CHECKING:
    from eisbach import _C

_STATE = ("weights", "masters", "gradients", "optimizer")


def nothing_fits(plan: Plan) -> str:
    """Says the least that a layout takes, on which, and what would fit."""
    misfit = plan.misfit
    has = plan.machine.memory_bytes
    may = has * plan.options.memory_share
    held = plan.memory_of(misfit.least)
    return (
        f"nothing fits: of the {_gib(has)} of a device tensors may take "
        f"{_gib(may)}, and the least that any layout takes is "
        f"{_gib(held.peak)}: {_spell(misfit.least.layout)}; "
        f"{_state(held, may)}; nearest that works: {' or '.join(_cures(plan))}"
    )


def _spell(layout: _C.Layout) -> str:
    order = "" if layout.pipeline == 1 else f"{words.schedule(layout)}, "
    return (
        f"{words.layout(layout)}, {order}zero {layout.zero}, micro-batch "
        f"{layout.micro_batch}, recompute {words.recompute(layout)}"
    )


def _state(held: _C.RankMemory, may: float) -> str:
    """Tells what no batch and no context changes."""
    state = sum(getattr(held, kind) for kind in _STATE)
    kinds = "weights, gradients and optimizer"
    if state > may:
        return f"{kinds} alone are {_gib(state)}, whatever batch and context"
    return f"{kinds} are {_gib(state)} of it"


def _cures(plan: Plan) -> Iterator[str]:
    """Spells each way by which something would fit, all else as it is."""
    misfit = plan.misfit
    yield from (f"no {given}" for given in freed(plan))
    if misfit.devices is not None:
        yield f"{misfit.devices:,} devices"
    if misfit.context is not None:
        yield f"model.context={misfit.context}"
    # Upwards: what is offered has to work.
    yield f"devices of {math.ceil(misfit.memory / words.GIB):,} GiB"


def freed(plan: Plan) -> list[str]:
    """Spells the given keys, without each of which something would fit."""
    given = {key: value_of(plan.config, key) for key in CHOSEN.values()}
    if plan.terms.experts is not None:
        given["expert_parallel"] = plan.terms.experts.parallel
    return [f"{key}={given[key]}" for key in plan.misfit.keys]


def told(plan: Plan) -> dict[str, Any]:
    """The same as an object of JSON, but for the layout."""
    misfit = plan.misfit
    return {
        "says": nothing_fits(plan),
        "device_memory_bytes": misfit.memory,
        "devices": misfit.devices,
        "context": misfit.context,
        "without": freed(plan),
    }


def _gib(count: float) -> str:
    return f"{count / words.GIB:.1f} GiB"
