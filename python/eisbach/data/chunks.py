"""Pieces of documents of bounded size, from which tokens are made.

A long document is cut at fixed distances, wherever that is. Each piece sees
`OVERLAP` more characters on both sides of a cut than are its own, so that two
neighbours make tokens of the same text around the cut between them; from these
`eisbach.data.stitch` finds where one may follow the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# A tokenizer takes some 150 bytes of memory for each character.
CHUNK = 1 << 18
OVERLAP = 1 << 10


@dataclass(frozen=True)
class Chunk:
    """A piece of a document.

    Attributes:
      document: Number of the document, from 0.
      text: Own text, and that of the neighbours up to `OVERLAP` from the cuts.
      first: Begins the document.
      last: Ends it.
    """

    document: int
    text: str
    first: bool = True
    last: bool = True


def chunks(
    document: int,
    pieces: Iterable[str],
    *,
    size: int = CHUNK,
    overlap: int = OVERLAP,
) -> Iterator[Chunk]:
    """Cuts the text of a document, which comes in pieces of any length.

    Args:
      document: Its number.
      pieces: Its text, in order.
      size: Characters between two cuts; more than `overlap`.
      overlap: Characters that a chunk sees beyond a cut.

    Yields:
      At least one chunk, also of an empty document.
    """
    held: list[str] = []
    length = 0
    first = True
    for piece in _sliced(pieces, size):
        held.append(piece)
        length += len(piece)
        # The last chunk is never shorter than what its neighbour sees of it.
        while length > (wanted := size + overlap * (1 if first else 2)):
            text = "".join(held)
            yield Chunk(document, text[:wanted], first, last=False)
            first = False
            text = text[wanted - 2 * overlap :]
            held, length = [text], len(text)
    yield Chunk(document, "".join(held), first, last=True)


def _sliced(pieces: Iterable[str], size: int) -> Iterator[str]:
    for piece in pieces:
        for begin in range(0, len(piece), size):
            yield piece[begin : begin + size]


def tasks(
    stream: Iterable[Chunk], *, size: int = CHUNK
) -> Iterator[list[Chunk]]:
    """Groups chunks so that a group has at most about `size` characters."""
    group: list[Chunk] = []
    total = 0
    for chunk in stream:
        if group and total + len(chunk.text) > size:
            yield group
            group, total = [], 0
        group.append(chunk)
        total += len(chunk.text)
    if group:
        yield group
