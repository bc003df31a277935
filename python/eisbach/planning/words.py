"""How a plan spells layouts, times and amounts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from eisbach.fitting import shorten

if TYPE_CHECKING:
    from eisbach import _C

# Where the seconds of a step go, by the names of the core.
TIME = {
    "products": "matrix products",
    "attention": "attention",
    "other_ops": "other ops",
    "communication": "communication that nothing hides",
    "gaps": "waiting for the host",
    "stages": "waiting for other stages",
}
# What memory holds.
MEMORY = {
    "weights": "weights",
    "masters": "masters",
    "gradients": "gradients",
    "optimizer": "optimizer",
    "activations": "activations",
    "other": "other",
}
# What a run takes.
SPENT = {
    "device_hours": "device hours",
    "megawatt_hours": "MWh",
    "co2_tonnes": "t CO2",
    "eur": "EUR",
}
GIB = 1 << 30


def layout(chosen: _C.Layout) -> str:
    """Spells a layout as in `d64 c1 t8 p16`, with experts `e32`."""
    expert = f" e{chosen.expert}" if chosen.expert else ""
    return (
        f"d{chosen.data} c{chosen.context} t{chosen.tensor} "
        f"p{chosen.pipeline}{expert}"
    )


def axes(model: _C.Experts) -> str:
    """Says what the letters of layouts are."""
    known = "d: data, c: context, t: tensor, p: pipeline"
    return f"{known}, e: expert" if model.count else known


def experts(model: _C.Experts) -> str:
    """Spells what is in the place of each MLP."""
    shared = (
        f" beside a shared one of width {model.shared_hidden:,}"
        if model.shared_hidden
        else ""
    )
    return (
        f"{model.count:,} experts of width {model.hidden:,} a layer, "
        f"{model.per_token} for each token{shared}"
    )


def parameters(size: _C.ModelSize) -> str:
    """Spells how many a model has, and, where they differ, a token meets."""
    if size.active == size.parameters:
        return f"{size.parameters:,} parameters"
    return (
        f"{size.parameters:,} parameters, of which a token meets "
        f"{size.active:,}"
    )


def schedule(chosen: _C.Layout) -> str:
    """Spells its schedule as in `interleaved 2`; `-` for one stage."""
    if chosen.pipeline == 1:
        return "-"
    parts = f" {chosen.chunks}" if chosen.chunks > 1 else ""
    return f"{chosen.schedule}{parts}"


def recompute(chosen: _C.Layout) -> str:
    """Spells what backward computes again as in `block 3`, of each stage."""
    if chosen.recompute_layers == "all":
        return chosen.recompute
    return f"{chosen.recompute} {chosen.recompute_layers}"


def seconds(value: float) -> str:
    """Spells a step's seconds in three or four digits."""
    return f"{value:,.0f}" if 1000 <= value < 1e7 else f"{value:.4g}"


def hours(value: float) -> str:
    """Spells hours in the unit that suits them."""
    if value < 1 / 3600:
        return f"{amount(value * 3600)} s"
    if value < 1 / 60:
        return f"{value * 3600:.0f} s"
    if value < 2:
        return f"{value * 60:.0f} min"
    if value < 72:
        return f"{value:.1f} h"
    if value < 87_660:
        return f"{value / 24:,.{1 if value < 2400 else 0}f} days"
    return f"{amount(value / 8766)} years"


def amount(value: float) -> str:
    """Spells a number in three digits, as in `0.0123`, `12,300`, `1.23 M`."""
    if value >= 1e15 or 0 < value < 1e-4:
        return f"{value:.3g}"
    if value >= 999_500:
        return shorten(value)
    if value < 100:
        return f"{value:#.3g}".rstrip(".")
    step = 10 ** max(len(f"{value:.0f}") - 3, 0)
    return f"{round(value / step) * step:,}"


def span(
    low: float, high: float, spell: Callable[[float], str] = amount
) -> str:
    """Spells from what to what; one of them where both read alike."""
    first, last = spell(low), spell(high)
    if first == last:
        return last
    number, _, unit = first.partition(" ")
    if unit and unit == last.partition(" ")[2]:
        first = number
    return f"{first} to {last}"
