"""What came of a trial, and the table of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

# Of what went wrong, so many lines are told.
_LINES = 4


class Apart(Exception):  # noqa: N818
    """Two things are not the same; says which."""


class Refused(Exception):  # noqa: N818
    """What was asked for is not offered; says why."""


class Absent(Exception):  # noqa: N818
    """There is nothing to try, since something before it was refused."""


@dataclass(frozen=True)
class Result:
    """What came of a trial, and why."""

    what: Literal["yes", "refused", "-", "NO"]
    why: str = ""


def result_of(trial: Callable[[], None]) -> Result:
    """Tries something."""
    try:
        trial()
    except Absent:
        return Result("-")
    except Refused as error:
        return Result("refused", str(error))
    except (Apart, AssertionError, ValueError, OSError, RuntimeError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return Result("NO", " ".join(lines[:_LINES]) or type(error).__name__)
    return Result("yes")


def table(
    results: dict[str, dict[str, Result]], *, markdown: bool = False
) -> Iterator[str]:
    """Yields the lines of a table, and reasons below by their numbers."""
    reasons: dict[str, int] = {}
    heads = ["model", *next(iter(results.values()))]
    rows = [heads]
    if markdown:
        rows.append(["---"] * len(heads))
    for name, found in results.items():
        row = [name]
        for result in found.values():
            number = ""
            if result.why:
                number = reasons.setdefault(result.why, len(reasons) + 1)
            row.append(f"{result.what} ({number})" if number else result.what)
        rows.append(row)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        if markdown:
            yield f"| {' | '.join(row)} |"
        else:
            cells = zip(row, widths, strict=True)
            yield "  ".join(cell.ljust(width) for cell, width in cells).rstrip()
    if reasons:
        yield ""
    for reason, number in reasons.items():
        yield f"{number}. {reason}"
