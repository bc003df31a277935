"""Documents: a text file each, or a record each of a file of records."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eisbach.data.charsets import AUTO, Reading, opened, text_of
from eisbach.data.formats import Format, format_of, records
from eisbach.data.inputs import STANDARD_INPUT, InputFile, find
from eisbach.data.records import Records
from eisbach.data.tables import parquet
from eisbach.files import open_regular

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Document:
    """A text of its own.

    Attributes:
      key: Names it, wherever its folder lies.
      pieces: Its text; to be read before the next document is.
    """

    key: str
    pieces: Iterable[str]


class Documents:
    """The documents of files, to be gone through once.

    Attributes:
      inputs: The files.
      records: Counts bad records.
      reading: Counts files and bytes.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        patterns: Sequence[str] = (),
        kind: Format = "auto",
        field: str = "text",
        encoding: str = AUTO,
        skips_bad: bool = False,
        pipes: bool = False,
        records: Records | None = None,
    ):
        """Finds the files.

        Args:
          paths: Files, folders, and `-` for the standard input.
          patterns: Which files are taken from folders; see `inputs.find`.
          kind: Format of all files; `auto` goes by their names.
          field: Field or column of a record that holds the text.
          encoding: Of files without a byte order mark; `auto` is UTF-8.
          skips_bad: Leaves bad records out.
          pipes: Takes FIFOs as well, which have no `digest`.
          records: Makes of records what `items` gives; None takes the text
            in `field`.

        Raises:
          ValueError: As `inputs.find`; an unknown encoding.
        """
        self.records = records or Records(field, skips_bad)
        self.reading = Reading(
            encoding, pipes=pipes, keeps_bad=self.records.whole
        )
        self.inputs = find(paths, patterns, pipes=pipes)
        self._kind = kind

    def digest(self) -> str:
        """Identifies the files by their names and all that is in them."""
        digest = hashlib.sha256()
        for file in self.inputs.files:
            with open_regular(file.path) as stream:
                size = os.fstat(stream.fileno()).st_size
                digest.update(f"{file.key}\0{size}\0".encode())
                while block := stream.read(_BLOCK):
                    digest.update(block)
        return digest.hexdigest()[:16]

    def __iter__(self) -> Iterator[Document]:
        for key, found in self.items():
            pieces = (found,) if isinstance(found, str) else found
            yield Document(key, pieces)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yields the name of each document and what it is.

        That is the pieces of a text, or what `records` makes of a record.
        """
        for file in self.inputs.files:
            yield from self.of(file)

    def kind_of(self, file: InputFile) -> Format:
        """Tells the format of a file."""
        return format_of(file.path) if self._kind == "auto" else self._kind

    def of(self, file: InputFile) -> Iterator[tuple[str, Any]]:
        """Yields the items of one of the files."""
        path, stream = file.path, None
        kind = self.kind_of(file)
        if kind == "text" and self.records.whole:
            raise ValueError(
                f"{path}: is a text, not a file of records: give its --format, "
                "or leave it out by a --pattern"
            )
        if path == STANDARD_INPUT:
            stream = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)
            path = Path("standard input")
        if kind == "parquet":
            found = parquet(path, self.records, self._advance)
            self.reading.count("parquet")
            yield from _numbered(file, found)
            return
        with opened(path, self.reading, stream) as unpacked:
            pieces = text_of(path, unpacked, self.reading)
            if kind == "text":
                yield file.key, pieces
            else:
                found = records(path, kind, pieces, self.records)
                yield from _numbered(file, found)

    def _advance(self, count: int) -> None:
        self.reading.bytes += count


def _numbered(
    file: InputFile, found: Iterable[tuple[int, Any]]
) -> Iterator[tuple[str, Any]]:
    for number, text in found:
        yield f"{file.key}:{number}", text
