"""Records of conversations: how they are read, and which are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.data.conversations import (
    FIELDS,
    AnswerPair,
    BadRecord,
    Conversation,
    Shape,
    check_columns,
    parse_columns,
    read_conversation,
    shape_of,
)
from eisbach.data.documents import Documents
from eisbach.data.formats import Format
from eisbach.data.records import Records
from eisbach.data.spans import TrainOn

if TYPE_CHECKING:
    from eisbach.config.data import DataSection

# Of what is left out, so many are named.
_NAMED = 5


@dataclass
class LeftOut:
    """Records of one kind that are left out.

    Attributes:
      count: How many.
      first: What the first few were.
    """

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, what: str) -> None:
        """Counts one."""
        self.count += 1
        if len(self.first) < _NAMED:
            self.first.append(what)

    def lines(self, headline: str) -> Iterator[str]:
        """Yields the count and the first few; nothing where there is none."""
        if self.count:
            yield f"left out {self.count:,} {headline}:"
            yield from (f"  {what}" for what in self.first)
            if self.count > len(self.first):
                yield f"  and {self.count - len(self.first):,} more"


@dataclass(frozen=True)
class ChatOptions:
    """How conversations become documents.

    Attributes:
      shape: Of the records; not `text`.
      columns: Our names of fields to theirs, where they differ.
      train_on: What of a conversation is trained.
      max_tokens: Of a document; the rest is cut off. None: any number.
    """

    shape: Shape
    columns: dict[str, str] = field(default_factory=dict)
    train_on: TrainOn = "assistant"
    max_tokens: int | None = None

    @property
    def trains(self) -> TrainOn:
        """What is trained: of a pair the answers, and nothing else."""
        return "completion" if self.shape == "preference" else self.train_on

    @classmethod
    def of(cls, section: DataSection, shape: Shape) -> ChatOptions:
        """Takes them from a configuration."""
        return cls(
            shape,
            parse_columns(section.columns),
            section.train_on,
            None if section.max_tokens == "none" else section.max_tokens,
        )


class Conversations(Records):
    """Makes conversations of records, and counts those that are none."""

    whole = True

    def __init__(self, options: ChatOptions, *, stops: bool = False):
        """Takes no record yet.

        Args:
          options: Shape and fields.
          stops: Whether a bad record is an error.
        """
        super().__init__(skips=not stops)
        check_columns(options.shape, options.columns)
        self.bad_records = LeftOut()
        self._options = options

    def bad(self, error: str) -> None:
        """Counts a bad record, or raises ValueError."""
        super().bad(error)
        self.bad_records.add(error)

    def columns(self, names: Sequence[str]) -> list[str]:
        """Returns the columns that the shape has."""
        renamed = self._options.columns
        wanted = (renamed.get(n, n) for n in FIELDS[self._options.shape])
        return [name for name in dict.fromkeys(wanted) if name in names]

    def text(self, where: str, record: Any) -> Conversation | AnswerPair | None:
        """Returns what a record holds; None where it is bad."""
        options = self._options
        try:
            return read_conversation(record, options.shape, options.columns)
        except BadRecord as error:
            self.bad(f"{where}: {error}")
            return None


class _First(Records):
    """Passes records on as they are."""

    whole = True

    def columns(self, names: Sequence[str]) -> list[str]:
        return list(names)

    def text(self, where: str, record: Any) -> Any:
        return record


def detect_shape(
    paths: Sequence[Path],
    columns: dict[str, str],
    *,
    patterns: Sequence[str] = (),
    kind: Format = "auto",
    encoding: str = "auto",
) -> Shape:
    """Tells what the records of files are by the first that can be read.

    Pipes and the standard input are texts here: they are read once.
    """
    probe = Documents(
        paths,
        patterns=patterns,
        kind=kind,
        encoding=encoding,
        pipes=True,
        records=_First(skips=True),
    )
    for file in probe.inputs.files:
        if not file.path.is_file() or probe.kind_of(file) == "text":
            continue
        try:
            for _, record in probe.of(file):
                return shape_of(record, columns)
        except ValueError:
            break  # whoever reads it says what is wrong
    return "text"


def chat_documents(
    paths: Sequence[Path],
    options: ChatOptions,
    *,
    patterns: Sequence[str] = (),
    kind: Format = "auto",
    encoding: str = "auto",
    stops: bool = False,
    pipes: bool = False,
) -> Documents:
    """Finds the files of conversations; see `Documents`.

    Args:
      paths: Files, folders, and `-` for the standard input.
      options: How they are read.
      patterns: Which files are taken from folders.
      kind: Format of all files.
      encoding: Of files without a byte order mark.
      stops: Whether a bad record is an error; else it is left out.
      pipes: Takes FIFOs as well.
    """
    return Documents(
        paths,
        patterns=patterns,
        kind=kind,
        encoding=encoding,
        pipes=pipes,
        records=Conversations(options, stops=stops),
    )
