"""A plan as lines for a terminal."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from eisbach.planning import columns, figures, words
from eisbach.planning.constraints import Constraint
from eisbach.planning.keys import argument_lines
from eisbach.planning.make import Plan

if TYPE_CHECKING:
    from eisbach import _C

_MARK = "- "
# Wider text is tiring to read, and none fits what is narrower.
_WIDTH = 80
_LEAST = 20


def table(
    plan: Plan,
    *,
    rows: int = 10,
    more: Sequence[Constraint] = (),
    width: float = math.inf,
) -> Iterator[str]:
    """Spells a plan in which something fits.

    Args:
      plan: The plan.
      rows: How many layouts.
      more: What one more constraint would cost.
      width: Of the terminal.
    """
    yield from job(plan, width)
    yield ""
    best = plan.found.fitting[:rows]
    lines, left_out = columns.fitted(_columns(plan, best), width)
    yield from lines
    if left_out:
        no_room = f"{width} columns have no room for {', '.join(left_out)}"
        said = f"{no_room}; --json and --html have them."
        yield from _wrapped([said], width)
    yield from _wrapped(_told(plan, len(best), more), width)
    yield from argument_lines(plan, plan.best, min(width, _WIDTH))


def _told(plan: Plan, rows: int, more: Sequence[Constraint]) -> Iterator[str]:
    yield _looked_at(plan)
    yield ""
    yield _first(plan)
    yield _where_time_goes(plan)
    yield _memory(plan)
    if rows > 1:
        yield figures.why_not(*plan.found.fitting[:2])
    yield ""
    yield from run_lines(plan)
    yield ""
    if more:
        yield "One more constraint:"
        for constraint in more:
            yield f"{_MARK}{constraint.says}"
        yield ""
    yield "The first as keys for `eisbach train`, behind those of this plan:"
    yield ""


def run_lines(plan: Plan) -> Iterator[str]:
    """Spells what the whole run of the best takes."""
    known = figures.spent(plan, plan.best)
    head = (
        f"{plan.config.train.steps:,} steps, "
        f"{words.amount(figures.tokens(plan))} tokens"
    )
    if not known:
        yield f"{head}: never over: {figures.never_ends(plan, plan.best)}."
    else:
        hours = known.pop("hours")
        spent = [words.span(hours.low, hours.high, words.hours)] + [
            f"{words.span(amount.low, amount.high)} {words.SPENT[name]}"
            for name, amount in known.items()
        ]
        yield f"{head}: {', '.join(spent)}{_at(plan, known)}."
    cost = figures.whole_run(plan, plan.best).value
    if known and cost.hours_between_failures:
        yield (
            f"A failure every {words.hours(cost.hours_between_failures)}: save "
            f"every {words.hours(cost.save_every / 3600)}, then "
            f"{cost.useful:.1%} of the time is useful."
        )
    marks = figures.crossed(plan)
    beyond = f": beyond the mark of {marks[-1]}" if marks else ""
    yield f"{figures.training_flops(plan):.2g} FLOP of training{beyond}."


def _at(plan: Plan, known: Container[str]) -> str:
    """What emissions and money are reckoned with."""
    terms = []
    if "co2_tonnes" in known:
        terms.append(f"{plan.terms.grid * 1000:.4g} g/kWh")
    if "eur" in known:
        terms.append(f"{plan.terms.price:g} EUR for an hour of a device")
    return f" (at {', '.join(terms)})" if terms else ""


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


def job(plan: Plan, width: float = math.inf) -> Iterator[str]:
    """Spells what is planned, and what is best, as lines of a terminal."""
    lines = list(job_lines(plan))
    best = {"cost": "device hours", "energy": "energy"}.get(plan.terms.by)
    if best:
        lines.append(f"best: least {best} of the whole run")
    yield from _wrapped(lines, width)


def _wrapped(lines: Iterable[str], width: float) -> Iterator[str]:
    """Breaks paragraphs into lines; an empty one stays."""
    for line in lines:
        indent = " " * len(_MARK) if line.startswith(_MARK) else ""
        yield from textwrap.wrap(
            line,
            int(max(min(width, _WIDTH), _LEAST)),
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]


def _columns(plan: Plan, best: Sequence[_C.Candidate]) -> list[columns.Column]:
    layouts = [one.layout for one in best]
    forecasts = [one.forecast for one in best]

    def column(
        name: str, cells: Iterable[object], **how: Any
    ) -> columns.Column:
        return columns.Column(name, [str(cell) for cell in cells], **how)

    return [
        column("", range(1, len(best) + 1)),
        column("layout", map(words.layout, layouts), left=True),
        column("schedule", map(words.schedule, layouts), left=True, spare=1),
        column("zero", (one.zero for one in layouts), spare=3),
        column("micro", (one.micro_batch for one in layouts), spare=4),
        column("recompute", map(_recompute, layouts), left=True, spare=2),
        column("s/step", (words.seconds(one.seconds) for one in forecasts)),
        column(
            "peak",
            (f"{figures.of_peak(plan, one):.1%}" for one in best),
            spare=5,
        ),
        column("idle", (f"{one.bubble:.1%}" for one in forecasts), spare=6),
        column("GiB", (f"{one.memory / words.GIB:.1f}" for one in forecasts)),
    ]


def _recompute(layout: _C.Layout) -> str:
    return words.recompute(layout).replace("selective ", "select ")


def _looked_at(plan: Plan) -> str:
    found = plan.found
    late = f", {found.too_late:,} are too late" if found.too_late else ""
    return (
        f"Of {found.tried + found.hopeless:,} ways {found.too_large:,} take "
        f"too much memory{late} and {found.hopeless:,} are far behind at best."
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
