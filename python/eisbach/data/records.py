"""Records of a file: where their text is, and what to do about bad ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Records:
    """How records become documents.

    Attributes:
      field: The field or column of the text.
      skips: Bad records are left out and counted; else they are errors.
      skipped: How many were left out.
      first_skipped: What the first of them was.
    """

    field: str = "text"
    skips: bool = False
    skipped: int = 0
    first_skipped: str = ""

    # Whether a record is wanted whole, and not one field of it.
    whole = False

    def columns(self, names: Sequence[str]) -> list[str]:
        """Returns the columns of a table that are wanted, of those it has.

        Raises:
          ValueError: It does not have what is needed.
        """
        if self.field in names:
            return [self.field]
        raise ValueError(
            f"no column {self.field!r} (--field); columns: "
            f"{', '.join(names[:8])}"
        )

    def bad(self, error: str) -> None:
        """Counts a bad record, or raises ValueError."""
        if not self.skips:
            raise ValueError(
                f"{error} (--bad-lines skip leaves such records out)"
            )
        self.skipped += 1
        self.first_skipped = self.first_skipped or error

    def notes(self) -> Iterator[str]:
        """Yields what was left out."""
        if self.skipped:
            yield (
                f"left out {self.skipped:,} bad records; the first: "
                f"{self.first_skipped}"
            )

    def text(self, where: str, record: Any) -> Any:
        """Returns the text of a record; None where it is bad."""
        found = record
        if isinstance(record, dict):
            found = record.get(self.field)
        if not isinstance(found, str):
            what = f"no text in the field {self.field!r}"
            self.bad(f"{where}: {what}{self._has(record)}")
            return None
        try:
            found.encode()
        except UnicodeEncodeError:
            self.bad(f"{where}: half of a surrogate pair is no text")
            return None
        return found

    def _has(self, record: Any) -> str:
        if not isinstance(record, dict):
            return f": it is a JSON {_KINDS.get(type(record), 'value')}"
        if self.field in record:
            kind = _KINDS.get(type(record[self.field]), "value")
            return f": it is a {kind}"
        names = ", ".join(list(map(str, record))[:8])
        return (
            f"; fields: {names or 'none'} (--field; of conversations "
            "--column, data.columns)"
        )


_KINDS = {
    dict: "object",
    list: "array",
    int: "number",
    float: "number",
    bool: "truth value",
    type(None): "null",
}


def lines(pieces: Iterable[str]) -> Iterator[str]:
    """Yields lines with their ends; only a line feed ends one."""
    held: list[str] = []
    for piece in pieces:
        begin = 0
        while (end := piece.find("\n", begin) + 1) > 0:
            held.append(piece[begin:end])
            yield "".join(held)
            held.clear()
            begin = end
        held.append(piece[begin:])
    if any(held):
        yield "".join(held)
