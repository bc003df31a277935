"""A plan as JSON: all that the table has, and more; docs/planning.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from eisbach.planning import figures, misfit, words
from eisbach.planning.constraints import Constraint
from eisbach.planning.figures import Amount
from eisbach.planning.keys import arguments, fragment
from eisbach.planning.make import CHOSEN, Plan

if TYPE_CHECKING:
    from eisbach import _C

# Of what the keys mean; it grows when one changes or goes.
FORMAT = 1
_RUN = (
    "hours",
    "device_hours",
    "megawatt_hours",
    "co2_tonnes",
    "eur",
)


def document(
    plan: Plan, *, rows: int = 10, more: Sequence[Constraint] = ()
) -> dict[str, Any]:
    """Returns a plan as an object of JSON.

    Args:
      plan: The plan.
      rows: How many layouts.
      more: What one more constraint would cost.
    """
    import eisbach

    found = plan.found
    told: dict[str, Any] = {
        "format": FORMAT,
        "eisbach": eisbach.__version__,
        "model": _model(plan),
        "job": _job(plan),
        "machine": _machine(plan),
        "terms": asdict(plan.terms),
        "not_in_runtime": figures.not_in_runtime(plan),
        "search": {
            name: getattr(found, name)
            for name in ("tried", "too_large", "too_late", "hopeless")
        },
        "layouts": [
            _candidate(plan, candidate, number)
            for number, candidate in enumerate(found.fitting[:rows])
        ],
        "best": None,
    }
    if not found.fitting:
        told["misfit"] = _misfit(plan)
        told["least_memory_bytes"] = plan.misfit.least.forecast.memory
        return told
    told["best"] = {
        "arguments": arguments(plan, plan.best),
        "configuration": "\n".join(fragment(plan, plan.best)) + "\n",
        "range": figures.basis(plan),
        "stages": [_stage(stage) for stage in plan.best.forecast.stages],
        "run": _run(plan, plan.best),
    }
    if len(found.fitting) > 1:
        told["best"]["runner_up"] = figures.why_not(*found.fitting[:2])
    told["constraints"] = [_constraint(plan, one) for one in more]
    return told


def _model(plan: Plan) -> dict[str, Any]:
    model = plan.engine.model
    return {
        "family": model.family,
        "parameters": plan.size.parameters,
        "active_parameters": plan.size.active,
        "flops_per_token": plan.size.flops_per_token,
    }


def _job(plan: Plan) -> dict[str, Any]:
    config = plan.config
    return {
        "name": config.run.name,
        "compute": config.precision.compute,
        "global_batch": config.train.global_batch,
        "context": config.model.context,
        "steps": config.train.steps,
        "tokens": figures.tokens(plan),
        "training_flops": figures.training_flops(plan),
        "beyond": figures.crossed(plan),
    }


def _machine(plan: Plan) -> dict[str, Any]:
    return {
        "devices": plan.devices,
        "devices_fed": plan.fed,
        "memory_for_tensors": plan.options.memory_share,
        **plan.file.model_dump(),
    }


def _amount(amount: Amount | None) -> dict[str, float] | None:
    if amount is None:
        return None
    return {"low": amount.low, "value": amount.value, "high": amount.high}


def _candidate(
    plan: Plan, candidate: _C.Candidate, number: int | None = None
) -> dict[str, Any]:
    forecast, chosen = candidate.forecast, candidate.layout
    told = {
        "layout": layout_keys(chosen) | _expert_ranks(chosen),
        "devices": chosen.devices,
        "step_seconds": _amount(figures.step(plan, candidate)),
        "tokens_per_second": forecast.tokens_per_second,
        "tokens_per_second_per_device": figures.per_device(candidate),
        "mfu": figures.of_peak(plan, candidate),
        "idle": forecast.bubble,
        "micro_batches": forecast.micro_batches,
        "time": figures.shares(candidate),
        "memory_bytes": forecast.memory,
        "run_hours": _amount(figures.spent(plan, candidate).get("hours")),
        "never_ends": figures.never_ends(plan, candidate),
    }
    if number is not None and number < len(plan.memory):
        told["memory"] = _memory(plan.memory[number])
    return told


def _memory(held: _C.RankMemory) -> dict[str, int]:
    return {kind: getattr(held, kind) for kind in words.MEMORY}


def _expert_ranks(chosen: _C.Layout) -> dict[str, int]:
    """What no configuration says yet."""
    return {"expert": chosen.expert} if chosen.expert else {}


def layout_keys(chosen: _C.Layout) -> dict[str, Any]:
    """What of a layout a configuration says, by the names of its keys."""
    return {name: getattr(chosen, name) for name in CHOSEN}


def _stage(stage: _C.StageForecast) -> dict[str, Any]:
    return {
        "forward_seconds": stage.forward,
        "backward_seconds": stage.backward,
        "once_seconds": stage.once,
        "memory_bytes": stage.memory,
    }


def _run(plan: Plan, candidate: _C.Candidate) -> dict[str, Any]:
    known = figures.spent(plan, candidate)
    told: dict[str, Any] = {name: _amount(known.get(name)) for name in _RUN}
    cost = figures.whole_run(plan, candidate).value
    told |= {
        "watts_per_device": cost.watts or None,
        "hours_between_failures": cost.hours_between_failures or None,
        "save_every_seconds": cost.save_every or None,
        "useful": cost.useful,
    }
    return told


def _constraint(plan: Plan, one: Constraint) -> dict[str, Any]:
    best = None
    if one.candidate is not None:
        best = _candidate(plan, one.candidate)
        best["run"] = _run(plan, one.candidate)
    return {
        "kind": one.kind,
        "devices": one.devices,
        "best": best,
        "says": one.says,
    }


def _misfit(plan: Plan) -> dict[str, Any]:
    least = plan.misfit.least
    held = {"memory": _memory(plan.memory_of(least))}
    return {**misfit.told(plan), "least": _candidate(plan, least) | held}
