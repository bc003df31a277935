"""`eisbach plan`: layouts of a job on a machine, and what a step takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eisbach.config import Config
from eisbach.config.tree import COMMAND_LINE
from eisbach.core_config import complete, engine_config
from eisbach.fitting import shorten
from eisbach.hardware import HardwareFile, machine_of

if TYPE_CHECKING:
    from eisbach import _C

# What a search chooses, by the names of the core, and the keys of each.
CHOSEN = {
    "data": "parallel.data",
    "tensor": "parallel.tensor",
    "pipeline": "parallel.pipeline",
    "context": "parallel.context",
    "schedule": "parallel.schedule",
    "chunks": "parallel.chunks",
    "zero": "parallel.zero",
    "micro_batch": "train.micro_batch",
    "recompute": "train.recompute",
}


@dataclass(frozen=True)
class Plan:
    """Layouts of a job on a machine.

    Attributes:
      config: Complete, but for what is chosen.
      engine: What the core makes an Engine of; its layout is not one of those.
      machine: What it runs on.
      file: What the machine was read from.
      devices: How many there are.
      found: What a search has found.
      grid: kg of CO2 for a kWh.
    """

    config: Config
    engine: _C.EngineConfig
    machine: _C.Hardware
    file: HardwareFile
    devices: int
    found: _C.SearchResult
    grid: float


def make_plan(
    config: Config,
    file: HardwareFile,
    devices: int,
    *,
    products: str = "as_is",
    grid: float = 0.0,
) -> Plan:
    """Searches layouts of a configuration.

    Args:
      config: Resolved. What the command line gives of `CHOSEN` stays.
      file: The machine.
      devices: How many of its devices there are.
      grid: kg of CO2 for a kWh.
      products: In what linear layers multiply: `as_is`, `f8`, `f4`.

    Raises:
      ValueError: No layout is valid on so many devices.
    """
    from eisbach import _C

    if config.run.device == "auto":
        config = config.derive("run.device", file.device, f"on {file.name}")
    config = complete(config)
    fixed = {
        name: _value(config, key)
        for name, key in CHOSEN.items()
        if config.origin(key) == COMMAND_LINE
    }
    engine = engine_config(config)
    machine = machine_of(file)
    found = _C.search_layouts(
        engine,
        machine,
        devices,
        products=products,
        replayed=config.run.cuda_graphs and file.device == "cuda",
        **{name: value for name, value in fixed.items() if value != "auto"},
    )
    return Plan(config, engine, machine, file, devices, found, grid)


def _value(config: Config, key: str) -> Any:
    section, name = key.split(".")
    return getattr(getattr(config, section), name)


def table(plan: Plan, *, rows: int = 10) -> Iterator[str]:
    """Spells a plan."""
    model, config = plan.engine.model, plan.config
    yield f"{model.family}, {model.parameters:,} parameters"
    yield (
        f"{config.train.global_batch:,} x {config.model.context:,} tokens a "
        f"step, in {config.precision.compute}"
    )
    yield f"at most {plan.devices:,} devices of {plan.file.name}"
    yield ""
    best = plan.found.fitting[:rows]
    if not best:
        yield from _nothing_fits(plan)
        return
    yield (
        f"{'':>2} {'layout':<17}{'schedule':<13}{'zero':>4}{'micro':>6} "
        f"{'recompute':<10}{'s/step':>8}{'peak':>6}{'idle':>6}{'GiB':>6}"
    )
    for number, candidate in enumerate(best, 1):
        yield _row(plan, number, candidate)
    found = plan.found
    yield (
        f"Of {found.tried + found.hopeless:,} ways {found.too_large:,} take "
        f"too much memory and {found.hopeless:,} at best far more time."
    )
    yield ""
    yield from _where_time_goes(plan, best[0])
    if len(best) > 1:
        yield _why_not(best[0], best[1])
    yield ""
    yield from _whole_run(plan, best[0])
    yield ""
    yield "The first of them as keys of a configuration:"
    yield ""
    yield from fragment(best[0])


def _row(plan: Plan, number: int, candidate: _C.Candidate) -> str:
    layout, forecast = candidate.layout, candidate.forecast
    schedule = "-"
    if layout.pipeline > 1:
        schedule = layout.schedule
        if layout.chunks > 1:
            schedule += f" {layout.chunks}"
    return (
        f"{number:>2} {spell(layout):<17}{schedule:<13}{layout.zero:>4}"
        f"{layout.micro_batch:>6} {layout.recompute:<10}"
        f"{forecast.seconds:>8.4g}{of_peak(plan, candidate):>6.1%}"
        f"{forecast.bubble:>6.1%}{forecast.memory / 2**30:>6.1f}"
    )


def spell(layout: _C.Layout) -> str:
    """Spells a layout as in `d64 c1 t8 p16`."""
    return (
        f"d{layout.data} c{layout.context} t{layout.tensor} p{layout.pipeline}"
    )


def of_peak(plan: Plan, candidate: _C.Candidate) -> float:
    """Of the devices' rated arithmetic, what the model needs (MFU)."""
    per_device = candidate.forecast.tokens_per_second / candidate.layout.devices
    peak = plan.machine.peak
    rate = peak.f32 if plan.config.precision.compute == "f32" else peak.f16
    return per_device * plan.engine.model.flops_per_token / rate


def _nothing_fits(plan: Plan) -> Iterator[str]:
    smallest, least = plan.found.smallest, plan.found.least_memory
    has = plan.machine.memory_bytes / 2**30
    yield (
        f"nothing fits {has:.0f} GiB of a device, of which tensors may take "
        "nine tenths"
    )
    if smallest:
        layout = smallest.layout
        yield (
            f"the least is {smallest.forecast.memory / 2**30:.1f} GiB: "
            f"{spell(layout)}, zero {layout.zero}, recompute "
            f"{layout.recompute}"
        )
    elif least:
        yield f"every layout takes more than {least / 2**30:.1f} GiB"
    yield (
        "More devices, a smaller train.global_batch or model.context, or a "
        "smaller model fit."
    )


def fragment(candidate: _C.Candidate) -> Iterator[str]:
    """Spells a layout as YAML."""
    layout = candidate.layout
    yield "parallel:"
    for name in ("data", "tensor", "pipeline", "context"):
        yield f"  {name}: {getattr(layout, name)}"
    if layout.pipeline > 1:
        yield f"  schedule: {layout.schedule}"
        yield f"  chunks: {layout.chunks}"
    if layout.zero:
        yield f"  zero: {layout.zero}"
    yield (
        f"train: {{micro_batch: {layout.micro_batch}, "
        f"recompute: {layout.recompute}}}"
    )


_KINDS = {
    "products": "matrix products",
    "attention": "attention",
    "other_ops": "other ops",
    "communication": "communication that nothing hides",
    "gaps": "waiting for the host",
}


def shares(candidate: _C.Candidate) -> dict[str, float]:
    """What the time of a step goes to, and how much of it."""
    forecast = candidate.forecast
    busy = forecast.busy
    found = {
        words: getattr(busy, kind) / forecast.seconds
        for kind, words in _KINDS.items()
    }
    found["waiting for other stages"] = forecast.bubble
    return found


def _where_time_goes(plan: Plan, best: _C.Candidate) -> Iterator[str]:
    parts = ", ".join(
        f"{words} {share:.0%}"
        for words, share in shares(best).items()
        if share >= 0.005
    )
    layout, forecast = best.layout, best.forecast
    rate = forecast.tokens_per_second
    yield (
        f"d: data, c: context, t: tensor, p: pipeline. The first has "
        f"{layout.devices:,} of the devices,"
    )
    yield (
        f"{rate:,.0f} tokens/s, {rate / layout.devices:,.0f} of each, and "
        "spends its time on"
    )
    yield f"{parts}."


def _why_not(best: _C.Candidate, second: _C.Candidate) -> str:
    """What the runner-up loses by."""
    slower = second.forecast.seconds / best.forecast.seconds - 1
    mine, other = shares(best), shares(second)
    words = max(
        mine,
        key=lambda kind: (
            other[kind] * second.forecast.seconds
            - mine[kind] * best.forecast.seconds
        ),
    )
    more = (
        other[words] * second.forecast.seconds
        - mine[words] * best.forecast.seconds
    )
    if slower < 0.002 or more <= 0:
        return "The second takes as long."
    return (
        f"The second takes {slower:.1%} longer: {more:.3f} s more of a step "
        f"for {words}."
    )


# The European Commission presumes a model to be of general purpose above the
# first (guidelines of July 2025), and of systemic risk above the second
# (Regulation (EU) 2024/1689, article 51).
_THRESHOLDS = {
    1e23: "a general-purpose model (1e23, EU AI Act)",
    1e25: "one of systemic risk (1e25, EU AI Act)",
}


def run_cost(plan: Plan, candidate: _C.Candidate) -> _C.RunCost:
    """What all steps of the configuration take."""
    from eisbach import _C

    return _C.cost_of_run(
        candidate.forecast,
        plan.machine,
        steps=plan.config.train.steps,
        devices=candidate.layout.devices,
        grid=plan.grid,
    )


def training_flops(plan: Plan) -> float:
    """Floating-point operations of the run that the model needs."""
    return _tokens(plan) * plan.engine.model.flops_per_token


def _tokens(plan: Plan) -> int:
    train = plan.config.train
    return train.steps * train.global_batch * plan.config.model.context


def _whole_run(plan: Plan, best: _C.Candidate) -> Iterator[str]:
    cost = run_cost(plan, best)
    yield (
        f"{plan.config.train.steps:,} steps, {shorten(_tokens(plan))} tokens: "
        f"{_time(cost.hours)}, {cost.device_hours:,.0f} device hours, "
        f"{cost.megawatt_hours:,.1f} MWh, {cost.co2_tonnes:,.1f} t CO2 "
        f"(at {plan.grid * 1000:.0f} g/kWh)"
    )
    if cost.hours_between_failures:
        yield (
            f"a failure every {_time(cost.hours_between_failures)}: save every "
            f"{_time(cost.save_every / 3600)}, then {cost.useful:.1%} of the "
            "time is useful"
        )
    flops = training_flops(plan)
    crossed = [text for most, text in _THRESHOLDS.items() if flops >= most]
    beyond = f": beyond the mark of {crossed[-1]}" if crossed else ""
    yield f"{flops:.2g} FLOP of training{beyond}"


def _time(hours: float) -> str:
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    if hours < 2:
        return f"{hours * 60:.0f} min"
    if hours < 72:
        return f"{hours:.1f} h"
    return f"{hours / 24:,.1f} days"
