"""A plan as one page of HTML that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from eisbach.fitting import shorten
from eisbach.planning import figures, svg, timeline, words
from eisbach.planning.constraints import Constraint
from eisbach.planning.keys import argument_lines, fragment
from eisbach.planning.make import Plan
from eisbach.planning.style import STYLE
from eisbach.planning.table import job_lines, run_lines

if TYPE_CHECKING:
    from eisbach import _C

_TIMELINE = {
    "forward": "forward",
    "backward": "backward",
    "backward_input": "backward, input half",
    "backward_weight": "backward, weight half",
    "once": "sums, norm, update",
    "exposed": "of it, communication",
    "exchange": "exchange with other stages, beside it",
    "idle": "waiting for other stages",
}
_COLUMNS = (
    "layout", "schedule", "zero", "micro", "recompute", "devices",
    "s/step", "range", "MFU", "tokens/s each", "idle", "GiB",
)  # fmt: skip


def page(plan: Plan, *, rows: int = 10, more: Sequence[Constraint] = ()) -> str:
    """Spells a plan in which something fits.

    Args:
      plan: The plan.
      rows: How many layouts.
      more: What one more constraint would cost.
    """
    import eisbach

    parts = [
        _head(plan),
        _tiles(plan),
        _warnings(plan),
        _section("Layouts", _layouts(plan, rows)),
        _section("Where the time of a step goes", _time(plan)),
        _section("Memory of the device that holds most", _memory(plan)),
        _section("One step of the first layout", _step(plan)),
        _section("The whole run", _lines(run_lines(plan))),
        _section("One more constraint", _constraints(more)),
        _section("The first layout as keys of a configuration", _keys(plan)),
        _section("What the forecast rests on", _machine(plan)),
        f'<p class="faint">eisbach {escape(eisbach.__version__)}: '
        "a forecast, not a measurement.</p>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width"/>\n'
        f"<title>{escape(_title(plan))}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _title(plan: Plan) -> str:
    name = plan.config.run.name or plan.engine.model.family
    return (
        f"{name} ({shorten(plan.size.parameters)} parameters) on "
        f"{plan.best.layout.devices:,} x {plan.file.name}"
    )


def _head(plan: Plan) -> str:
    lines = "; ".join(job_lines(plan))
    return (
        f'<h1>{escape(_title(plan))}</h1><p class="faint">{escape(lines)}.</p>'
    )


def _tiles(plan: Plan) -> str:
    best = plan.best
    each, known = figures.step(plan, best), figures.spent(plan, best)
    whole = "never over"
    if hours := known.pop("hours", None):
        whole = words.span(hours.low, hours.high, words.hours)
    tiles = [
        (f"{words.span(each.low, each.high)} s", "a step"),
        (whole, f"the whole run of {plan.config.train.steps:,} steps"),
        (f"{figures.of_peak(plan, best):.1%}", "of rated arithmetic (MFU)"),
        (
            f"{figures.per_device(best):,.0f}",
            "tokens a second of each device",
        ),
    ]
    tiles += [
        (words.span(amount.low, amount.high), words.SPENT[name])
        for name, amount in known.items()
    ]
    return '<div class="tiles">{}</div>'.format(
        "".join(
            f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>"
            for value, what in tiles
        )
    )


def _warnings(plan: Plan) -> str:
    found = [
        f"Modelled, not yet in the runtime: {feature}."
        for feature in figures.not_in_runtime(plan)
    ]
    if not plan.machine.accuracy.cases:
        found.append(figures.basis(plan))
    if why := figures.never_ends(plan, plan.best):
        found.append(f"The whole run is never over: {why}.")
    return "".join(f'<p class="warn">{escape(text)}</p>' for text in found)


def _section(title: str, content: str) -> str:
    if not content:
        return ""
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _lines(lines: Iterator[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _cells(values: Sequence[str], tag: str = "td") -> str:
    return "".join(f"<{tag}>{escape(value)}</{tag}>" for value in values)


def _layouts(plan: Plan, rows: int) -> str:
    best = plan.found.fitting[:rows]
    lines = "".join(
        f"<tr{first}>{_cells(_row(plan, candidate))}</tr>"
        for first, candidate in zip(_first_of(best), best, strict=True)
    )
    notes = [f"{words.axes(plan.experts)} ranks."]
    if len(best) > 1:
        notes.append(figures.why_not(best[0], best[1]))
    return (
        f'<div class="wide"><table><tr>{_cells(_COLUMNS, "th")}</tr>{lines}'
        f'</table></div><p class="faint">{escape(" ".join(notes))}</p>'
    )


def _first_of(rows: Sequence[_C.Candidate]) -> list[str]:
    """The first row is set off."""
    return [' class="best"', *[""] * (len(rows) - 1)]


def _row(plan: Plan, candidate: _C.Candidate) -> list[str]:
    layout, forecast = candidate.layout, candidate.forecast
    each = figures.step(plan, candidate)
    return [
        words.layout(layout),
        words.schedule(layout),
        str(layout.zero),
        str(layout.micro_batch),
        words.recompute(layout),
        f"{layout.devices:,}",
        words.seconds(each.value),
        words.span(each.low, each.high),
        f"{figures.of_peak(plan, candidate):.1%}",
        f"{figures.per_device(candidate):,.0f}",
        f"{forecast.bubble:.1%}",
        f"{forecast.memory / words.GIB:.1f}",
    ]


def _detailed(plan: Plan) -> Sequence[_C.Candidate]:
    return plan.found.fitting[: len(plan.memory)]


def _label(number: int, candidate: _C.Candidate) -> str:
    chosen = candidate.layout
    parts = words.schedule(chosen) if chosen.pipeline > 1 else ""
    return f"{number}: {words.layout(chosen)} {parts}".strip()


def _time(plan: Plan) -> str:
    rows = [
        svg.Bar(
            _label(number, candidate),
            {
                kind: share * candidate.forecast.seconds
                for kind, share in figures.shares(candidate).items()
            },
            f"{words.seconds(candidate.forecast.seconds)} s",
        )
        for number, candidate in enumerate(_detailed(plan), 1)
    ]
    return svg.bars(rows, words.TIME) + svg.legend(words.TIME)


def _memory(plan: Plan) -> str:
    rows = [
        svg.Bar(
            _label(number, candidate),
            {kind: getattr(held, kind) / words.GIB for kind in words.MEMORY},
            f"{held.peak / words.GIB:.1f} GiB",
        )
        for number, (candidate, held) in enumerate(
            zip(_detailed(plan), plan.memory, strict=True), 1
        )
    ]
    has = plan.machine.memory_bytes / words.GIB
    marks = [svg.Mark(has, f"{has:.0f} GiB of a device")]
    share = plan.options.memory_share
    note = (
        f"Tensors may take {share:.0%} of a device's memory: libraries, the "
        "driver and what collectives buffer need the rest."
    )
    return (
        svg.bars(rows, words.MEMORY, marks)
        + svg.legend(words.MEMORY)
        + f'<p class="faint">{escape(note)}</p>'
    )


def _step(plan: Plan) -> str:
    drawn = plan.timeline
    kinds = {span.kind for spans in drawn.stages for span in spans}
    kinds |= {"idle"}
    if any(span.communication for spans in drawn.stages for span in spans):
        kinds |= {"exposed"}
    names = {kind: name for kind, name in _TIMELINE.items() if kind in kinds}
    return (
        f'<p class="faint">{escape(timeline.title(plan))}.</p>'
        + svg.timeline(drawn)
        + svg.legend(names)
    )


def _constraints(more: Sequence[Constraint]) -> str:
    if not more:
        return ""
    items = "".join(f"<li>{escape(one.says)}</li>" for one in more)
    return f"<ul>{items}</ul>"


def _keys(plan: Plan) -> str:
    return (
        "<p>For <code>eisbach train</code>, behind those of this plan:</p>"
        + _pre(argument_lines(plan, plan.best))
        + "<p>Or in a file of its own, below a line <code>base:</code> that "
        "names the file of this plan:</p>" + _pre(fragment(plan, plan.best))
    )


def _pre(lines: Iterator[str]) -> str:
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def _machine(plan: Plan) -> str:
    """The machine's figures by section, each with its source."""
    rows = []
    for name, section in plan.file.model_dump(exclude_none=True).items():
        if not isinstance(section, dict):
            continue
        source = section.pop("source", "")
        rows.append([name, _spell(section), source])
    table = "".join(f"<tr>{_cells(row)}</tr>" for row in rows)
    head = _cells(["part", "figures", "where they are from"], "th")
    return (
        f"<p>{escape(figures.basis(plan))}</p>"
        f'<div class="wide"><table class="words"><tr>{head}</tr>{table}'
        "</table></div>"
    )


def _spell(value: object) -> str:
    if isinstance(value, dict):
        parts = [
            f"{key} ({_spell(part)})"
            if isinstance(part, dict)
            else f"{key} {_spell(part)}"
            for key, part in value.items()
        ]
        return ", ".join(parts)
    return f"{value:g}" if isinstance(value, float) else str(value)
