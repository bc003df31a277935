"""Which files a list of paths stands for."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from eisbach.data.formats import PACKED_SUFFIXES, SUFFIXES
from eisbach.files import check_kind

STANDARD_INPUT = Path("-")
# Taken from folders where no pattern says what to take.
TEXT_SUFFIXES = (".txt", ".md", ".rst", ".py", ".html", *SUFFIXES)


@dataclass(frozen=True)
class InputFile:
    """A file to read.

    Attributes:
      path: Where it is; `-` is the standard input.
      key: Its name inside the folder that was given, by which it is held out
        or not; the same wherever that folder lies.
    """

    path: Path
    key: str


@dataclass
class Inputs:
    """Files, in the order in which they are read.

    Attributes:
      files: The files.
      notes: Of each folder: what was taken and what was left out.
    """

    files: list[InputFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def bytes(self) -> int | None:
        """Size of all files; None where one is a pipe."""
        total = 0
        for file in self.files:
            if file.path == STANDARD_INPUT or not file.path.is_file():
                return None
            total += file.path.stat().st_size
        return total


def find(
    paths: Sequence[Path],
    patterns: Sequence[str] = (),
    *,
    pipes: bool = False,
) -> Inputs:
    """Finds the files of paths.

    Args:
      paths: Files, folders (the files below them, sorted by name; hidden ones
        are left out), and `-`.
      patterns: Which files are taken from folders, as in `*.tex`; none takes
        the usual types of text, packed or not.
      pipes: Whether a path may be a FIFO, which can be read once.

    Raises:
      ValueError: A path does not exist, is neither a folder nor a regular
        file, a folder has no such file, or a file comes twice.
    """
    found = Inputs()
    for path in paths:
        if path == STANDARD_INPUT:
            found.files.append(InputFile(path, "-"))
        elif path.is_dir():
            _take(path, patterns, found)
        elif path.exists():
            check_kind(path, pipes=pipes)
            found.files.append(InputFile(path, path.name))
        else:
            raise ValueError(f"{path}: no such file or folder")
    _refuse_twice(found.files)
    return found


def _take(folder: Path, patterns: Sequence[str], found: Inputs) -> None:
    taken: collections.Counter[str] = collections.Counter()
    left: collections.Counter[str] = collections.Counter()
    for name in sorted(_below(folder, left)):
        kind = _suffix(name)
        hidden = any(part.startswith(".") for part in name.parts)
        matches = (
            any(name.match(pattern) for pattern in patterns)
            if patterns
            else kind in TEXT_SUFFIXES
        )
        if matches and not hidden:
            found.files.append(InputFile(folder / name, name.as_posix()))
            taken[kind] += 1
        else:
            left["hidden" if hidden else kind] += 1
    if not taken:
        wanted = " or ".join(map(repr, patterns)) or "a type of text"
        raise ValueError(
            f"{folder}: no file is {wanted}"
            + (f"; there are {_spell(left)}" if left else ": it is empty")
            + " (--pattern)"
        )
    note = f"{folder}: took {_spell(taken)}"
    if left:
        note += f"; left out {_spell(left)}"
        note += "" if patterns else " (--pattern takes others)"
    found.notes.append(note)


def _below(folder: Path, left: collections.Counter[str]) -> Iterator[Path]:
    for at, folders, names in os.walk(folder):
        for name in folders:
            path = Path(at, name)
            if path.is_symlink():
                left["links to folders"] += 1
        for name in names:
            path = Path(at, name)
            if path.is_file():
                yield path.relative_to(folder)


def _suffix(name: Path) -> str:
    """The end of a name, as `.txt` of both `a.txt` and `a.txt.gz`."""
    if name.suffix.lower() in PACKED_SUFFIXES:
        name = name.with_suffix("")
    return name.suffix.lower() or "without a suffix"


def _spell(counts: collections.Counter[str]) -> str:
    listed = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    words = [f"{count:,} {kind}" for kind, count in listed[:8]]
    if others := sum(count for _, count in listed[8:]):
        words.append(f"{others:,} others")
    return ", ".join(words)


def _refuse_twice(files: Sequence[InputFile]) -> None:
    seen: dict[str, Path] = {}
    for file in files:
        place = os.path.realpath(file.path)
        if place in seen:
            raise ValueError(f"{file.path} comes twice, also as {seen[place]}")
        seen[place] = file.path
