"""Documents in a text: the whole of it, or a record's field each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from eisbach.data.json_array import ArrayReader
from eisbach.data.records import Records, lines
from eisbach.data.tables import csv_rows

Format = Literal["auto", "text", "jsonl", "json", "csv", "parquet"]
# By the end of a name; all else is text.
SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
# Of a record; what goes on longer is an array without line ends.
_LONGEST_LINE = 1 << 24
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zstd")


def format_of(path: Path) -> Format:
    """Tells a format by a name, as in `web.jsonl.gz`."""
    name = path.name.lower()
    for packed in PACKED_SUFFIXES:
        name = name.removesuffix(packed)
    return SUFFIXES.get(Path(name).suffix, "text")


def records(
    path: Path, kind: Format, pieces: Iterable[str], options: Records
) -> Iterator[tuple[int, Any]]:
    """Yields the number of each record of a file, and what is made of it.

    Args:
      path: Of the file, for messages.
      kind: `jsonl`, `json` or `csv`.
      pieces: The text of the file.
      options: Which field, and what to do about bad records.

    Raises:
      ValueError: What is no such file, or a bad record.
    """
    pieces = iter(pieces)
    if kind == "csv":
        yield from csv_rows(path, pieces, options)
        return
    head = _first_line(pieces, stop="[" if kind == "json" else "\n")
    pieces = itertools.chain([head], pieces)
    start = head.lstrip()
    if start.startswith("[") and not (kind == "jsonl" and _is_line(start)):
        yield from _array(path, pieces, options)
        return
    if kind == "json" and not _is_line(start):
        yield from _object(path, pieces, options)
        return
    yield from _lines(path, pieces, options)


def _first_line(pieces: Iterator[str], stop: str) -> str:
    """Takes the pieces of the first line that is not empty.

    One that begins with `stop` is not read to its end.
    """
    head = ""
    for piece in pieces:
        head += piece
        start = head.lstrip()
        if start.startswith(stop) or "\n" in start:
            break
        if len(head) > _LONGEST_LINE:
            break
    return head


def _is_line(text: str) -> bool:
    """Whether the first line is a whole JSON value.

    Files of lines may hold lists, and files called `.json` may hold lines.
    """
    try:
        json.loads(text.partition("\n")[0])
    except (ValueError, RecursionError):
        return False
    return True


def _lines(
    path: Path, pieces: Iterator[str], options: Records
) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(lines(pieces), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            options.bad(f"{where}: no JSON: {error}")
            continue
        text = options.text(where, record)
        if text is not None:
            yield number, text


def _object(
    path: Path, pieces: Iterator[str], options: Records
) -> Iterator[tuple[int, Any]]:
    try:
        record = json.loads("".join(pieces))
    except (ValueError, RecursionError) as error:
        options.bad(f"{path}: no JSON: {error}")
        return
    text = options.text(str(path), record)
    if text is not None:
        yield 1, text


def _array(
    path: Path, pieces: Iterator[str], options: Records
) -> Iterator[tuple[int, Any]]:
    reader = ArrayReader(path, pieces)
    for number, record in enumerate(reader, 1):
        text = options.text(f"{path}: element {number}", record)
        if text is not None:
            yield number, text
