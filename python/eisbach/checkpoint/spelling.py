"""How figures of checkpoints are spelled."""

from __future__ import annotations

from collections.abc import Mapping

_UNITS = ("B", "kB", "MB", "GB", "TB")


def spell_bytes(count: int) -> str:
    """Spells a size in steps of 1000, as disks are sold: `1.5 GB`."""
    value, unit = float(count), 0
    while value >= 999.5 and unit + 1 < len(_UNITS):
        value, unit = value / 1000, unit + 1
    if unit == 0 or value >= 99.95:
        return f"{value:.0f} {_UNITS[unit]}"
    return f"{value:.{1 if value >= 9.995 else 2}f} {_UNITS[unit]}"


def spell_layout(layout: Mapping[str, int] | None) -> str:
    """Spells ranks along axes, as in `p2 d4 t1`; `-` where none are known.

    An axis other than pipeline, data and tensor is told where it divides
    something.
    """
    if layout is None:
        return "-"
    always = ("pipeline", "data", "tensor")
    return " ".join(
        f"{axis[0]}{size}"
        for axis, size in sorted(
            layout.items(), key=lambda item: _order(item[0])
        )
        if axis in always or size > 1
    )


def _order(axis: str) -> int:
    known = ("pipeline", "data", "context", "tensor")
    return known.index(axis) if axis in known else len(known)
