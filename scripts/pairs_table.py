#!/usr/bin/env python3
"""Puts what was trained together into docs/parallelism.md.

    train_layouts_pairs_test --gtest_output=json:pairs.json
    python scripts/pairs_table.py pairs.json

Each cell of the table is how many runs had both choices and trained like one
rank. scripts/sweep_layouts.sh does both. Fails, and writes nothing, where one
run did not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "parallelism.md"
BEGIN, END = "<!-- pairs: begin -->\n", "<!-- pairs: end -->\n"
SUITE = "All/LayoutsPairs"
# Keys of a run whose value is one of several things, and what is not one.
_ONE_OF = {
    "schedule": "1f1b",
    "zero": "0",
    "method": "auto",
    "recompute": "none",
    "optimizer": "adamw",
    "compute": "f32",
    "family": "",
}
# How a choice reads in the table.
_NAMES = {
    "sequence": "sequence",
    "terms": "z-loss, smoothing",
}
_RANKS = ("data", "tensor", "pipeline", "context")

# A run that chose nothing.
_NONE = {
    **dict.fromkeys(_RANKS, "1"),
    **_ONE_OF,
    **dict.fromkeys(_NAMES, "false"),
}


def choices(run: dict[str, str]) -> list[str]:
    """Returns what a run had, as rows of the table are called."""
    had = [name for name in _RANKS if run[name] != "1"]
    for key, default in _ONE_OF.items():
        if run[key] != default:
            number = run[key].isdigit()
            had.append(f"{key} {run[key]}" if number else run[key])
    had += [label for key, label in _NAMES.items() if run[key] == "true"]
    return had


def read(text: str) -> tuple[list[dict[str, str]], list[str]]:
    """Reads what GoogleTest wrote.

    Returns:
      The properties of each run, and the names of those that failed.

    Raises:
      ValueError: It holds no run.
    """
    suites = json.loads(text)["testsuites"]
    runs = [
        run
        for suite in suites
        if suite["name"] == SUITE
        for run in suite["testsuite"]
        if run["status"] == "RUN"
    ]
    if not runs:
        raise ValueError(f"no run of {SUITE}")
    return runs, [run["name"] for run in runs if "failures" in run]


def table(runs: list[dict[str, str]]) -> str:
    """Returns the table in Markdown: a row and a column for each choice."""
    had = [choices(run) for run in runs]
    order: dict[str, None] = {}
    for key in (*_RANKS, *_ONE_OF, *_NAMES):
        for run in runs:
            for one in choices({**_NONE, key: run[key]}):
                order[one] = None
    names = list(order)
    lines = [
        "| | " + " | ".join(str(i + 1) for i in range(len(names))) + " |",
        "| --- |" + " --- |" * len(names),
    ]
    for i, row in enumerate(names):
        cells = []
        for j, column in enumerate(names):
            count = sum(row in one and column in one for one in had)
            cells.append(str(count) if j < i and count else "")
        lines.append(f"| {i + 1} {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def put(page: str, made: str) -> str:
    """Returns a page with another table.

    Raises:
      ValueError: It has no place for one.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN.strip()} and {END.strip()}")
    return f"{before}{begin}{made}{end}{after}"


def main() -> int:
    """Writes the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("result", type=Path, help="what GoogleTest wrote")
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args()
    runs, failed = read(args.result.read_text())
    if failed:
        print("\n".join(f"{name} failed" for name in failed), file=sys.stderr)
        return 1
    made = f"{len(runs)} runs:\n\n{table(runs)}"
    args.page.write_text(put(args.page.read_text(), made))
    print(f"{args.page}: {len(runs)} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
