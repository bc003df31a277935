"""The measurements of others in plan_cases.csv, a row each."""

from __future__ import annotations

import csv
from pathlib import Path

CASES = Path(__file__).with_name("plan_cases.csv")


class LeftOutError(Exception):
    """A case that cannot be compared, and why."""


def rows_of(split: str, path: Path = CASES) -> list[dict[str, str]]:
    """The rows of a file that are marked `fit` or `check`, or `all`."""
    with path.open(newline="") as file:
        return [r for r in csv.DictReader(file) if split in ("all", r["split"])]


def group_of(row: dict[str, str]) -> str:
    """What its source is called."""
    return row["id"].rsplit("-", 1)[0]


def number(row: dict[str, str], name: str, default: int | None = None) -> int:
    """A whole number of a case.

    Raises:
      LeftOutError: It is empty, and there is no default.
    """
    if row[name]:
        return int(float(row[name]))
    if default is None:
        raise LeftOutError(f"{name} was not published")
    return default
