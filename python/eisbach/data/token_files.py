"""Writes token files (`.bin` / `.idx`, and `.json` about them)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.data.rules import Marking, TokenFileInfo, read_info
from eisbach.files import make_folder, write_atomically

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.data.tokenizer import Tokenizer

# In the order in which they take their places; a mask is not always there.
SUFFIXES = (".json", ".mask", ".bin", ".idx")
_MASK = ".mask"
_SCRATCH = ".prepare-"
_NEW_SECONDS = 60.0
_ATTEMPTS = 3


def file_of(prefix: Path, suffix: str) -> Path:
    """Returns PREFIX.suffix; a prefix may hold dots of its own."""
    return prefix.with_name(prefix.name + suffix)


def complete(prefix: Path) -> bool:
    """Whether all files of a prefix are there."""
    return all(
        file_of(prefix, suffix).exists()
        for suffix in SUFFIXES
        if suffix != _MASK
    ) and not lacks_mask(prefix, read_info(prefix))


def lacks_mask(prefix: Path, info: TokenFileInfo | None) -> bool:
    """Whether a file was made with a mask, and has none."""
    told = info is not None and info.trained is not None
    return told and not file_of(prefix, _MASK).exists()


class TokenFile:
    """A token file that is being written.

    Attributes:
      prefix: Where.
      bytes: Length of the text so far.
      trained: How many tokens a mask does not leave out.
    """

    def __init__(
        self, prefix: Path, tokenizer: Tokenizer, *, masked: bool = False
    ):
        """Makes the files; nothing is seen under their names before `close`.

        Args:
          prefix: Where.
          tokenizer: Makes the tokens.
          masked: Writes a mask as well; its documents begin and end as they
            are given.
        """
        from eisbach import _C

        self.prefix = prefix
        self.bytes = 0
        self._tokenizer = tokenizer
        self._masked = masked
        self.trained = 0
        begin = () if masked else tokenizer.begin_of_document
        self._begin = np.asarray(begin, dtype=np.int32)
        self._inside = False
        self._writer = _C.TokenFileWriter(
            str(prefix),
            dtype=_dtype(tokenizer.vocab),
            end_of_document=None if masked else tokenizer.end_of_document,
            masked=masked,
        )

    @property
    def documents(self) -> int:
        """Documents that have ended."""
        return self._writer.documents

    @property
    def tokens(self) -> int:
        """Their tokens, begins and ends included."""
        return self._writer.tokens

    def append(self, tokens: Any) -> None:
        """Adds tokens to the document at hand."""
        if not self._inside and len(tokens):
            self._start()
        if len(tokens):
            self._writer.append(tokens)

    def add(self, tokens: Any, mask: Any, text_bytes: int) -> None:
        """Adds a whole document and its mask: 1 for what is trained."""
        mask = np.asarray(mask, dtype=np.uint8)
        self._writer.add_document(tokens, mask)
        self.trained += int(np.count_nonzero(mask))
        self.bytes += text_bytes

    def end(self, text_bytes: int) -> bool:
        """Ends the document at hand.

        One without text is written where documents have an end, and left out
        where they have none.

        Returns:
          Whether it was written.
        """
        self.bytes += text_bytes
        if not self._inside:
            if self._tokenizer.end_of_document is None:
                return False
            self._start()
        self._writer.end_document()
        self._inside = False
        return True

    def _start(self) -> None:
        self._inside = True
        if self._begin.size:
            self._writer.append(self._begin)

    def close(
        self,
        source: Sequence[str] = (),
        encodings: dict[str, int] | None = None,
        marked: Marking | None = None,
    ) -> TokenFileInfo:
        """Makes the files durable, `PREFIX.json` included."""
        self._writer.close()
        info = TokenFileInfo(
            self._tokenizer.digest,
            self._tokenizer.vocab,
            self.documents,
            self.tokens,
            self.bytes,
            self._tokenizer.rules,
            tuple(source),
            encodings,
            self.trained if self._masked else None,
            marked,
        )
        write_atomically(file_of(self.prefix, ".json"), info.as_json())
        return info


def _dtype(vocab: int) -> str:
    if vocab <= 2**8:
        return "u8"
    return "u16" if vocab <= 2**16 else "i32"


def read_pieces(
    file: _C.TokenFile, document: int, begin: int, end: int
) -> Iterator[Any]:
    """Yields tokens [begin, end) of a document, some at a time."""
    step = 1 << 20
    for at in range(begin, end, step):
        yield file.read(document, at, min(step, end - at))


@dataclass
class Placing:
    """A folder to write in, whose files then go to their places together.

    Attributes:
      folder: Beside those places; gone at the end.
      targets: Name inside `folder` to the prefix outside.
    """

    folder: Path
    targets: dict[str, Path] = field(default_factory=dict)

    def place(self) -> None:
        """Moves all files of all targets, or none.

        The indices go last: a reader that finds one finds all of its pair,
        and its mask.
        """
        moves = [
            (self.folder / f"{name}{suffix}", file_of(prefix, suffix))
            for suffix in SUFFIXES
            for name, prefix in self.targets.items()
        ]
        done: list[tuple[Path, Path | None]] = []
        try:
            for number, (_, target) in enumerate(reversed(moves)):
                if target.exists():
                    kept = self.folder / f"before-{number}"
                    os.replace(target, kept)
                    done.append((target, kept))
            for source, target in moves:
                if source.suffix == _MASK and not source.exists():
                    continue
                os.replace(source, target)
                done.append((target, None))
        except BaseException:
            for target, kept in reversed(done):
                if kept is None:
                    target.unlink()
                else:
                    os.replace(kept, target)
            raise


class PlaceError(ValueError):
    """A folder cannot be made, or no file in it."""


@contextlib.contextmanager
def placing(**targets: Path) -> Iterator[Placing]:
    """Makes a folder in which to write token files of these names.

    Folders above it that were made for this go again where they stay empty.

    Raises:
      PlaceError: It cannot be made.
    """
    parent = next(iter(targets.values())).parent
    for left in parent.glob(f"{_SCRATCH}*"):
        _remove_left(left)
    try:
        folder, made = _make_scratch(parent)
    except OSError as error:
        raise PlaceError(
            f"{parent}: cannot be written: {error.strerror}"
        ) from None
    held = os.open(folder, os.O_RDONLY)
    try:
        _locks(held)
        yield Placing(folder, targets)
    finally:
        os.close(held)
        shutil.rmtree(folder, ignore_errors=True)
        _remove_empty(made)


def _make_scratch(
    parent: Path, attempts: int = _ATTEMPTS
) -> tuple[Path, list[Path]]:
    """Makes a folder in another; returns it and what else is new, inside out.

    A process that fails beside this one may take its empty folders away just
    before this one writes there.
    """
    made = [path for path in (parent, *parent.parents) if not path.exists()]
    try:
        make_folder(parent)
        return Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=parent)), made
    except OSError as error:
        _remove_empty(made)
        if not isinstance(error, FileNotFoundError) or attempts == 1:
            raise
    return _make_scratch(parent, attempts - 1)


def _remove_empty(folders: list[Path]) -> None:
    with contextlib.suppress(OSError):  # one that is not
        for folder in folders:
            folder.rmdir()


def _locks(held: int) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another's, or the file system has no locks
        return False
    return True


def _remove_left(folder: Path) -> None:
    """Removes the folder of a process that was killed: its lock is gone."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        # A new folder may not be locked yet.
        old = os.fstat(held).st_mtime < time.time() - _NEW_SECONDS
        if old and _locks(held):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)
