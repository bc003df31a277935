"""Small drawings for a page: bars of parts, and when stages do what.

Colours are classes of the page's style, so that they suit light and dark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eisbach import _C

_WIDTH = 900
_LABEL = 250  # of it, for what a row is called
_BAR = 18
_ROW = 26
# A stage's row in a timeline.
_STAGE = 70
_THIN = 14
_LANE = 4


@dataclass(frozen=True)
class Bar:
    """A row of parts, one beside the other.

    Attributes:
      label: What it is called.
      parts: How long each is, by its class.
      ends: What is written behind it.
    """

    label: str
    parts: Mapping[str, float]
    ends: str = ""


@dataclass(frozen=True)
class Mark:
    """A line across all rows.

    Attributes:
      at: Where, in the unit of the parts.
      label: What it is called.
    """

    at: float
    label: str


def bars(
    rows: Sequence[Bar], names: Mapping[str, str], marks: Sequence[Mark] = ()
) -> str:
    """Draws rows on one scale.

    Args:
      rows: From top to bottom.
      names: What each class of parts is called.
      marks: Lines across them.
    """
    longest = max(
        [sum(row.parts.values()) for row in rows] + [mark.at for mark in marks]
    )
    scale = (_WIDTH - _LABEL - 90) / (longest or 1)
    top = 20 if marks else 4
    height = top + _ROW * len(rows) + 4
    drawn = []
    for mark in marks:  # behind what is written
        x = _LABEL + mark.at * scale
        drawn.append(
            f'<path class="mark" d="M{x:.1f} {top - 4}V{height}"/>'
            + _text(x, 9, mark.label, "middle")
        )
    for number, row in enumerate(rows):
        y = top + number * _ROW
        middle = y + _BAR / 2
        drawn.append(_text(_LABEL - 8, middle, row.label, "end"))
        x = float(_LABEL)
        for kind, length in row.parts.items():
            width = length * scale
            if width < 0.05:
                continue
            drawn.append(
                f'<rect class="{kind}" x="{x:.1f}" y="{y}" '
                f'width="{width:.1f}" height="{_BAR}">'
                f"<title>{escape(names[kind])}</title></rect>"
            )
            x += width
        drawn.append(_text(x + 6, middle, row.ends, "start"))
    return _drawing(height, drawn)


def legend(names: Mapping[str, str]) -> str:
    """Says which colour is what."""
    return '<p class="legend">{}</p>'.format(
        "".join(
            f'<span><i class="{kind}"></i>{escape(name)}</span>'
            for kind, name in names.items()
        )
    )


def timeline(drawn: _C.Timeline) -> str:
    """Draws the actions of stages over time, exchanges below each."""
    scale = (_WIDTH - _STAGE) / (drawn.seconds or 1)
    row = _THIN + _LANE + 4
    parts = []
    for stage, spans in enumerate(drawn.stages):
        y = stage * row
        parts.append(_text(_STAGE - 8, y + _THIN / 2, f"stage {stage}", "end"))
        parts.append(
            f'<rect class="idle" x="{_STAGE}" y="{y}" '
            f'width="{drawn.seconds * scale:.1f}" height="{_THIN}"/>'
        )
        paths: dict[str, list[str]] = {}
        for span in spans:
            lane = span.kind == "exchange"
            kind = span.kind
            if span.chunk % 2:
                kind += " odd"
            paths.setdefault(kind, []).append(
                _box(
                    _STAGE + span.begin * scale,
                    y + _THIN if lane else y,
                    (span.end - span.begin) * scale,
                    _LANE if lane else _THIN,
                )
            )
            if span.communication and not lane:
                paths.setdefault("exposed", []).append(
                    _box(
                        _STAGE + (span.end - span.communication) * scale,
                        y + _THIN - 3,
                        span.communication * scale,
                        3,
                    )
                )
        parts.extend(
            f'<path class="{kind}" d="{"".join(boxes)}"/>'
            for kind, boxes in sorted(paths.items(), key=_above)
        )
    return _drawing(row * len(drawn.stages), parts)


def _above(item: tuple[str, list[str]]) -> bool:
    return item[0] == "exposed"


def _box(x: float, y: float, width: float, height: float) -> str:
    # A gap between one and the next, where there is room for it.
    width = max(width - 0.4, min(width, 0.3))
    return f"M{x:.1f} {y}h{width:.1f}v{height}h-{width:.1f}z"


def _text(x: float, y: float, words: str, anchor: str) -> str:
    if not words:
        return ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
        f'dominant-baseline="central">{escape(words)}</text>'
    )


def _drawing(height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
