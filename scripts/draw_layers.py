#!/usr/bin/env python3
"""Draws the table of scripts/check_layers.py: docs/images/layers.svg.

    python scripts/draw_layers.py           # writes the picture
    python scripts/draw_layers.py --check   # fails if it is not current

A folder stands above all that it may include. A line leads to the folders that
it includes and no other one between them does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from check_layers import BACKENDS, MAY_INCLUDE  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "layers.svg"
WIDTH, ROW, BOX = 680, 58, 36
COLOURS = {
    "core": ("#e9edf2", "#616e7c"),
    "device": ("#e9edf2", "#616e7c"),
    "tensor": ("#e9edf2", "#616e7c"),
    "ops": ("#d6e6fb", "#2f6db5"),
    "autograd": ("#d6e6fb", "#2f6db5"),
    "nn": ("#d6e6fb", "#2f6db5"),
    "optim": ("#d6e6fb", "#2f6db5"),
    "comm": ("#fde6c8", "#b8701a"),
    "watch": ("#fde6c8", "#b8701a"),
    "parallel": ("#fde6c8", "#b8701a"),
    "data": ("#e3f1e3", "#3b7d3b"),
}
OTHERS = ("#f1e6f7", "#7a4a9e")


def levels(table: dict[str, tuple[str, ...]]) -> list[list[str]]:
    """Returns rows of folders, lowest first; each includes lower rows only."""
    level: dict[str, int] = {}

    def of(folder: str) -> int:
        if folder not in level:
            level[folder] = 1 + max(map(of, table[folder]), default=-1)
        return level[folder]

    rows: list[list[str]] = [[] for _ in range(1 + max(map(of, table)))]
    for folder in table:
        rows[of(folder)].append(folder)
    return rows


def nearest(folder: str, table: dict[str, tuple[str, ...]]) -> list[str]:
    """Returns what a folder includes and no other such folder does."""
    mine = table[folder]
    return [a for a in mine if not any(a in table[b] for b in mine)]


def draw(table: dict[str, tuple[str, ...]], inside: dict[str, str]) -> str:
    """Returns the picture.

    Args:
      table: Folder to the folders that it may include.
      inside: What is written in the box of a folder, beside its name.
    """
    rows = levels(table)
    height = ROW * len(rows) + 22
    places: dict[str, tuple[float, int]] = {}
    boxes, lines, names = [], [], []
    for i, row in enumerate(rows):
        y = height - 11 - ROW * (i + 1) + (ROW - BOX) // 2
        step = (WIDTH - 40) / len(row)
        for j, folder in enumerate(row):
            x, width = 20 + step * (j + 0.5), min(step - 8, 210)
            below = nearest(folder, table)
            if len(row) == 1 and below:  # over the middle of what it uses
                x = sum(places[other][0] for other in below) / len(below)
            places[folder] = x, y
            fill, stroke = COLOURS.get(folder, OTHERS)
            boxes.append(
                f'  <rect x="{x - width / 2:.0f}" y="{y}" width="{width:.0f}" '
                f'height="{BOX}" rx="5" fill="{fill}" stroke="{stroke}"/>'
            )
            names.append(
                f'  <text x="{x:.0f}" y="{y + 23}">{folder}'
                f"{inside.get(folder, '')}</text>"
            )
    for folder in table:
        for other in nearest(folder, table):
            (x1, y1), (x2, y2) = places[folder], places[other]
            lines.append(
                f'  <line x1="{x1:.0f}" y1="{y1 + BOX}" x2="{x2:.0f}" '
                f'y2="{y2}"/>'
            )
    told = "; ".join(" and ".join(row) for row in reversed(rows))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" role="img" aria-labelledby="t d" '
            "font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu "
            'Sans\', sans-serif" font-size="12" text-anchor="middle" '
            'fill="#1f2933">',
            "  <!-- Made by scripts/draw_layers.py from "
            "scripts/check_layers.py. -->",
            '  <title id="t">The folders of csrc, upper ones use lower ones'
            "</title>",
            f'  <desc id="d">From top to bottom: {told}.</desc>',
            f'  <rect width="{WIDTH}" height="{height}" rx="10" '
            'fill="#fbfcfe" stroke="#c9d1dc"/>',
            *boxes,
            # Over the boxes, so that one which passes a box is seen to pass.
            '  <g stroke="#616e7c" stroke-width="1.2">',
            *lines,
            "  </g>",
            *names,
            "</svg>",
        ]
    )


def picture(root: Path) -> str:
    """Returns docs/images/layers.svg for the folders that are there."""
    csrc = root / "csrc"
    there = {f for f in MAY_INCLUDE if (csrc / f).is_dir()}
    table = {
        folder: tuple(other for other in others if other in there)
        for folder, others in MAY_INCLUDE.items()
        if folder in there
    }
    inside = {}
    for folder in table:
        found = [b for b in BACKENDS if (csrc / folder / b).is_dir()]
        inside[folder] = f" ({', '.join(found)})" if found else ""
    return draw(table, inside) + "\n"


def main() -> int:
    """Writes or checks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if stale"
    )
    made = picture(ROOT)
    if not parser.parse_args().check:
        PICTURE.write_text(made)
        return 0
    if PICTURE.read_text() == made:
        return 0
    print(f"{PICTURE.relative_to(ROOT)} is not what the table says: run "
          "python scripts/draw_layers.py")  # fmt: skip
    return 1


if __name__ == "__main__":
    sys.exit(main())
