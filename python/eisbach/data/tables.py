"""Documents in tables: CSV and Parquet, a row each."""

from __future__ import annotations

import csv
import difflib
import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from eisbach.data.records import Records, lines
from eisbach.files import open_regular

_ROWS = 1024


def csv_rows(
    path: Path, pieces: Iterator[str], options: Records
) -> Iterator[tuple[int, Any]]:
    """Yields number and text of each row of a CSV file.

    Its first line names the columns; they are separated by commas, semicolons,
    tabs or bars.

    Args:
      path: Of the file, for messages.
      pieces: Its text.
      options: Which column, and what to do about bad rows.

    Raises:
      ValueError: There is no such column, or a bad row.
    """
    csv.field_size_limit(2**31 - 1)
    rows = lines(pieces)
    first = next(rows, "")
    if options.whole:
        yield from _whole_rows(path, first, rows, options)
        return
    separator, column = _column(path, first, options.field)
    reader = csv.reader(
        itertools.chain([first], rows), delimiter=separator, strict=True
    )
    width = len(next(reader))
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            # What follows cannot be told apart any more.
            raise ValueError(f"{path}:{reader.line_num}: {error}") from None
        if row is None:
            return
        where = f"{path}:{reader.line_num}"
        if not row:
            continue
        if len(row) != width:
            options.bad(f"{where}: {len(row)} columns, the first line {width}")
            continue
        yield reader.line_num, row[column]


def _whole_rows(
    path: Path, first: str, rows: Iterator[str], options: Records
) -> Iterator[tuple[int, Any]]:
    split = _split(first)
    separator = max(split, key=lambda sign: len(split[sign]))
    reader = csv.DictReader(
        itertools.chain([first], rows), delimiter=separator, strict=True
    )
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"{path}:{reader.line_num}: {error}") from None
        if row is None:
            return
        where = f"{path}:{reader.line_num}"
        if None in row or None in row.values():
            options.bad(f"{where}: not as many columns as the first line")
            continue
        found = options.text(where, row)
        if found is not None:
            yield reader.line_num, found


def _split(line: str) -> dict[str, list[str]]:
    """The names in a first line, by each sign that may separate them."""
    return {
        separator: next(csv.reader([line], delimiter=separator), [])
        for separator in ",;\t|"
    }


def _column(path: Path, line: str, wanted: str) -> tuple[str, int]:
    split = _split(line)
    for separator, names in split.items():
        if wanted in names:
            if names.count(wanted) > 1:
                raise ValueError(f"{path}:1: two columns {wanted!r}")
            return separator, names.index(wanted)
    names = max(split.values(), key=len)
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.0)
    raise ValueError(
        f"{path}:1: no column {wanted!r} (--field); columns: "
        f"{', '.join(names[:8]) or 'none'}"
        + (f"; closest: {close[0]!r}" if close else "")
    )


def parquet(
    path: Path, options: Records, progress: Callable[[int], None]
) -> Iterator[tuple[int, Any]]:
    """Yields number and text of each row of a Parquet file.

    Args:
      path: Of the file.
      options: Which column, and what to do about rows without text.
      progress: Is told of bytes that are done.

    Raises:
      ValueError: It is no regular file, or damaged, has no such column of
        text, or the library that reads it is missing.
    """
    try:
        import pyarrow
    except ImportError:
        raise ValueError(
            f"{path}: Parquet needs a library: pip install 'eisbach[parquet]'"
        ) from None
    try:
        with open_regular(path) as stream:
            yield from _parquet_rows(path, stream, options, progress)
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path}: damaged: {error}") from None


def _parquet_rows(
    path: Path,
    stream: io.FileIO,
    options: Records,
    progress: Callable[[int], None],
) -> Iterator[tuple[int, Any]]:
    import pyarrow.parquet

    file = pyarrow.parquet.ParquetFile(stream)
    try:
        wanted = options.columns(file.schema_arrow.names)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    rows, share = 0, path.stat().st_size / max(1, file.metadata.num_rows)
    for batch in file.iter_batches(_ROWS, columns=wanted):
        for record in batch.to_pylist():
            rows += 1
            text = options.text(f"{path}: row {rows}", record)
            if text is not None:
                yield rows, text
        progress(int(share * len(batch)))
