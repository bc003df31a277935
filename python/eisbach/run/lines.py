"""Lines of a `.jsonl` file, damaged ones among them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eisbach.files import read_regular


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
      number: Counted from 1.
      raw: Its bytes, without the end of the line.
      record: The object that it holds, with a `step`; None if it is damaged.
      fault: What is wrong with it; empty if nothing is.
    """

    number: int
    raw: bytes
    record: dict[str, Any] | None
    fault: str = ""


def read_all(path: Path) -> list[Line]:
    """Reads every line; there is none where there is no file.

    Raises:
      ValueError: It is no regular file, or cannot be read.
    """
    try:
        content = read_regular(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    *whole, rest = content.split(b"\n")
    lines = [_line(number, raw) for number, raw in enumerate(whole, 1)]
    if rest:
        number = len(lines) + 1
        lines.append(Line(number, rest, None, "the end is cut off"))
    return lines


def _line(number: int, raw: bytes) -> Line:
    if raw and not raw.strip(b"\0"):
        return Line(number, raw, None, f"{len(raw)} zero bytes")
    try:
        record = json.loads(raw)
    except (ValueError, RecursionError):
        return Line(number, raw, None, "no JSON")
    step = record.get("step") if isinstance(record, dict) else None
    if isinstance(step, bool) or not isinstance(step, int):
        return Line(number, raw, None, "no object with a step")
    return Line(number, raw, record)


@dataclass(frozen=True)
class Kept:
    """What a resumed run takes over of a file of lines.

    Attributes:
      lines: Of steps that rise up to the checkpoint's.
      damaged: Those before the last of them that cannot be used.
    """

    lines: list[Line]
    damaged: list[Line]


def keep_until(lines: list[Line], step: int) -> Kept:
    """Sorts the lines up to a step; what follows the last is left out."""
    steps = [line.record["step"] if line.record else None for line in lines]
    end = max((i for i, s in enumerate(steps) if s and s <= step), default=-1)
    kept: list[Line] = []
    damaged = []
    before = 0
    for line, at in zip(lines[: end + 1], steps, strict=False):
        if at is None:
            damaged.append(line)
        elif not before < at <= step:
            fault = f"step {at} between {before} and {step}"
            damaged.append(Line(line.number, line.raw, None, fault))
        else:
            kept.append(line)
            before = at
    return Kept(kept, damaged)


def missing(lines: list[Line], step: int, *, after: int = 0) -> str:
    """Spells which of the steps after one up to another have no line."""
    spans = []
    before = after
    for at in [line.record["step"] for line in lines if line.record] + [
        step + 1
    ]:
        if at > before + 1:
            first, last = before + 1, at - 1
            spans.append(f"{first}-{last}" if first < last else f"{first}")
        before = at
    return ", ".join(spans)
