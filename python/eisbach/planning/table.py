"""A plan as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from eisbach.fitting import shorten
from eisbach.planning import figures, words
from eisbach.planning.constraints import Constraint
from eisbach.planning.make import Plan

if TYPE_CHECKING:
    from eisbach import _C

_WIDTH = 80


def table(
    plan: Plan, *, rows: int = 10, more: Sequence[Constraint] = ()
) -> Iterator[str]:
    """Spells a plan.

    Args:
      plan: The plan.
      rows: How many layouts.
      more: What one more constraint would cost.
    """
    yield from _job(plan)
    yield ""
    best = plan.found.fitting[:rows]
    if not best:
        yield from _nothing_fits(plan)
        return
    width = max(17, *(len(words.layout(one.layout)) + 1 for one in best))
    yield (
        f"{'':>2} {'layout':<{width}}{'schedule':<13}{'zero':>4}{'micro':>6} "
        f"{'recompute':<10}{'s/step':>8}{'peak':>6}{'idle':>6}{'GiB':>6}"
    )
    for number, candidate in enumerate(best, 1):
        yield _row(plan, number, candidate, width)
    yield from _paragraph(_looked_at(plan))
    yield ""
    yield from _paragraph(_first(plan))
    yield from _paragraph(_where_time_goes(plan))
    yield from _paragraph(_memory(plan))
    if len(best) > 1:
        yield from _paragraph(figures.why_not(best[0], best[1]))
    yield ""
    yield from _whole_run(plan)
    if more:
        yield ""
        yield "One more constraint:"
        for constraint in more:
            yield from _paragraph(constraint.says, "- ")
    yield ""
    yield "The first of them as keys of a configuration:"
    yield ""
    yield from fragment(plan.best)


def fragment(candidate: _C.Candidate) -> Iterator[str]:
    """Spells a layout as YAML."""
    layout = candidate.layout
    yield "parallel:"
    for name in ("data", "tensor", "pipeline", "context"):
        yield f"  {name}: {getattr(layout, name)}"
    if layout.pipeline > 1:
        yield f"  schedule: {layout.schedule}"
        yield f"  chunks: {layout.chunks}"
    yield f"  zero: {layout.zero}"
    if layout.expert > 1:
        yield f"  # expert: {layout.expert}, which training does not have yet"
    yield (
        f"train: {{micro_batch: {layout.micro_batch}, "
        f"recompute: {layout.recompute}, "
        f"recompute_layers: {layout.recompute_layers}}}"
    )


def run_lines(plan: Plan) -> Iterator[str]:
    """Spells what the whole run of the best takes."""
    run = figures.whole_run(plan, plan.best)
    hours = run.amount("hours")
    spent = [words.span(hours.low, hours.high, words.hours)]
    for name, unit in (
        ("device_hours", "device hours"),
        ("megawatt_hours", "MWh"),
        ("co2_tonnes", "t CO2"),
    ):
        amount = run.amount(name)
        spent.append(f"{words.span(amount.low, amount.high)} {unit}")
    if plan.terms.price is not None:
        euros = run.amount("device_hours").times(plan.terms.price)
        spent.append(f"{words.span(euros.low, euros.high)} EUR")
    yield (
        f"{plan.config.train.steps:,} steps, {shorten(figures.tokens(plan))} "
        f"tokens: {', '.join(spent)} (at {plan.terms.grid * 1000:.0f} g/kWh"
        f"{_priced(plan)})."
    )
    cost = run.value
    if cost.hours_between_failures:
        yield (
            f"A failure every {words.hours(cost.hours_between_failures)}: save "
            f"every {words.hours(cost.save_every / 3600)}, then "
            f"{cost.useful:.1%} of the time is useful."
        )
    marks = figures.crossed(plan)
    beyond = f": beyond the mark of {marks[-1]}" if marks else ""
    yield f"{figures.training_flops(plan):.2g} FLOP of training{beyond}."


def _priced(plan: Plan) -> str:
    if plan.terms.price is None:
        return ""
    return f", {plan.terms.price:g} EUR for an hour of a device"


def job_lines(plan: Plan) -> Iterator[str]:
    """Spells what is planned."""
    model, config = plan.engine.model, plan.config
    yield f"{model.family}, {words.parameters(plan.size)}"
    yield (
        f"{config.train.global_batch:,} x {config.model.context:,} tokens a "
        f"step, in {config.precision.compute}"
    )
    fed = ""
    if plan.fed is not None and plan.fed < plan.devices:
        fed = f", of which the site feeds {plan.fed:,}"
    yield f"at most {plan.devices:,} devices of {plan.file.name}{fed}"
    for feature in figures.not_in_runtime(plan):
        yield f"modelled, not yet in the runtime: {feature}"


def _job(plan: Plan) -> Iterator[str]:
    for line in job_lines(plan):
        yield from _paragraph(line)
    best = {"cost": "device hours", "energy": "energy"}.get(plan.terms.by)
    if best:
        yield f"best: least {best} of the whole run"


def _paragraph(text: str, mark: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _row(plan: Plan, number: int, candidate: _C.Candidate, width: int) -> str:
    layout, forecast = candidate.layout, candidate.forecast
    recompute = words.recompute(layout).replace("selective ", "select ")
    return (
        f"{number:>2} {words.layout(layout):<{width}}"
        f"{words.schedule(layout):<13}"
        f"{layout.zero:>4}{layout.micro_batch:>6} {recompute:<10}"
        f"{words.seconds(forecast.seconds):>8}"
        f"{figures.of_peak(plan, candidate):>6.1%}"
        f"{forecast.bubble:>6.1%}{forecast.memory / words.GIB:>6.1f}"
    )


def _looked_at(plan: Plan) -> str:
    found = plan.found
    late = f", {found.too_late:,} are too late" if found.too_late else ""
    return (
        f"Of {found.tried + found.hopeless:,} ways {found.too_large:,} take "
        f"too much memory{late} and {found.hopeless:,} are far behind at best."
    )


def _nothing_fits(plan: Plan) -> Iterator[str]:
    smallest, least = plan.found.smallest, plan.found.least_memory
    has = plan.machine.memory_bytes / words.GIB
    yield (
        f"nothing fits {has:.0f} GiB of a device, of which tensors may take "
        "nine tenths"
    )
    if smallest:
        layout = smallest.layout
        yield (
            f"the least is {smallest.forecast.memory / words.GIB:.1f} GiB: "
            f"{words.layout(layout)}, zero {layout.zero}, recompute "
            f"{words.recompute(layout)}"
        )
    elif least:
        yield f"every layout takes more than {least / words.GIB:.1f} GiB"
    yield (
        "More devices, a smaller train.global_batch or model.context, or a "
        "smaller model fit."
    )


def _first(plan: Plan) -> str:
    best = plan.best
    each = figures.step(plan, best)
    span = words.span(each.low, each.high)
    return (
        f"{words.axes(plan.experts)}. The first has "
        f"{best.layout.devices:,} of the devices and takes {span} s a step. "
        f"{figures.basis(plan)} Coefficients: {plan.file.ops.source}."
    )


def _where_time_goes(plan: Plan) -> str:
    best = plan.best
    parts = ", ".join(
        f"{words.TIME[kind]} {share:.0%}"
        for kind, share in figures.shares(best).items()
        if share >= 0.005
    )
    return (
        f"{best.forecast.tokens_per_second:,.0f} tokens/s, "
        f"{figures.per_device(best):,.0f} of each device, which is "
        f"{figures.of_peak(plan, best):.1%} of its rated arithmetic (MFU). The "
        f"time goes to {parts}."
    )


def _memory(plan: Plan) -> str:
    held = plan.memory[0]
    parts = ", ".join(
        f"{name} {getattr(held, kind) / words.GIB:.1f}"
        for kind, name in words.MEMORY.items()
        if getattr(held, kind) >= 0.05 * words.GIB
    )
    has = plan.machine.memory_bytes / words.GIB
    return (
        f"Of {has:.1f} GiB the fullest device holds {held.peak / words.GIB:.1f}"
        f"{f': {parts}' if parts else ''}."
    )


def _whole_run(plan: Plan) -> Iterator[str]:
    for line in run_lines(plan):
        yield from _paragraph(line)
