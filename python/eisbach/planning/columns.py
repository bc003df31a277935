"""Columns of text that fit the width of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Wider than this a table has no need of more room between its columns.
_COMFORTABLE = 80


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
      name: Its head.
      cells: Of each row.
      left: Whether its cells begin below one another; else they end so.
      spare: Where there is no room the column of the highest goes first; of 0
        none does.
    """

    name: str
    cells: Sequence[str]
    left: bool = False
    spare: int = 0

    @property
    def width(self) -> int:
        """Of its longest cell."""
        return max(map(len, (self.name, *self.cells)))


def fitted(
    columns: Sequence[Column], width: float
) -> tuple[list[str], list[str]]:
    """Lays columns side by side.

    Args:
      columns: From left to right, as many cells in each.
      width: That no line is to exceed, as far as columns may be left out.

    Returns:
      The lines, the head first, and the names of columns that are left out.
    """
    kept, left_out = list(columns), []
    while _width(kept, 1) > width and any(one.spare for one in kept):
        least = max(kept, key=lambda one: one.spare)
        kept.remove(least)
        left_out.append(least.name)
    gap = 2 if _width(kept, 2) <= min(width, _COMFORTABLE) else 1
    rows = zip(*([one.name, *one.cells] for one in kept), strict=True)
    return [_line(kept, row, gap) for row in rows], left_out


def _width(columns: Sequence[Column], gap: int) -> int:
    return sum(one.width for one in columns) + gap * (len(columns) - 1)


def _line(columns: Sequence[Column], row: Sequence[str], gap: int) -> str:
    cells = (
        f"{cell:{'<' if one.left else '>'}{one.width}}"
        for one, cell in zip(columns, row, strict=True)
    )
    return (" " * gap).join(cells).rstrip()
