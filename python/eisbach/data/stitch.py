"""Tokens of a long document from those of its chunks.

Two neighbouring chunks hold the same `2 * OVERLAP` characters around the cut
between them. The tokens of the document pass from one to the other at a place
where both agree on `_AGREE` tokens before and after it, and across which the
tokenizer can never join anything:

- the border between two words of its pre-tokenizer, which a model never
  crosses; or
- where it has none (one word is all), between two characters that stand beside
  each other in no token of the vocabulary.

A tokenizer whose pattern looks any distance ahead or back has no such place.
Since the place lies away from the ends of both chunks, what a tokenizer does
at the ends of a text (a dummy prefix, stripped spaces, a look ahead) is left
out. Where there is no such place, both chunks are made one and encoded again,
in the extreme until all of the document is in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from eisbach.data.chunks import CHUNK, OVERLAP, Chunk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eisbach.data.file_tokenizer import FileTokenizer

_AGREE = 16
# From so many characters on, text that cannot be cut is worth a note.
_LARGE = 16 * CHUNK


@dataclass
class Border:
    """The tokens of a chunk around one of its cuts.

    Attributes:
      index: Which of the chunk's tokens the first is.
      tokens: Id, begin and end of each; in characters from the cut.
      free: Whether nothing can ever join it with the token before it.
    """

    index: int = 0
    tokens: list[tuple[int, int, int]] = field(default_factory=list)
    free: list[bool] = field(default_factory=list)


@dataclass
class Encoded:
    """The tokens of a chunk, and those around its cuts once more."""

    ids: NDArray[np.integer]
    left: Border = field(default_factory=Border)
    right: Border = field(default_factory=Border)


def encode_chunks(
    tokenizer: FileTokenizer, group: list[Chunk], *, overlap: int = OVERLAP
) -> list[Encoded]:
    """Makes tokens of chunks."""
    found = tokenizer.encodings([chunk.text for chunk in group])
    return [
        _encoded(tokenizer, chunk, encoding, overlap)
        for chunk, encoding in zip(group, found, strict=True)
    ]


def _encoded(
    tokenizer: FileTokenizer, chunk: Chunk, encoding: Any, overlap: int
) -> Encoded:
    encoded = Encoded(tokenizer.ids(encoding))
    length = len(chunk.text)
    if not chunk.first:
        _fill(encoded.left, encoded.ids, tokenizer, encoding, overlap, overlap)
    if not chunk.last:
        cut = length - overlap
        encoded.right.index = _first_after(encoding, cut - overlap)
        _fill(encoded.right, encoded.ids, tokenizer, encoding, cut, overlap)
    return encoded


def _first_after(encoding: Any, begin: int) -> int:
    """Returns the first token of those behind a place in the text."""
    index = len(encoding)
    while index > 0:
        span = encoding.token_to_chars(index - 1)
        if span and span[0] < begin:
            break
        index -= 1
    return index


def _fill(
    border: Border,
    ids: NDArray[np.integer],
    tokenizer: FileTokenizer,
    encoding: Any,
    cut: int,
    overlap: int,
) -> None:
    """Takes the tokens from `border.index` on, and as far behind the cut."""
    word = before = None
    for i in range(border.index, len(ids)):
        begin, end = encoding.token_to_chars(i) or (cut, cut)
        if begin > cut + overlap:
            break
        token, now = int(ids[i]), encoding.token_to_word(i)
        border.tokens.append((token, begin - cut, end - cut))
        border.free.append(
            before is not None
            and not tokenizer.looks_far
            and (now != word or tokenizer.apart(before, token))
        )
        word, before = now, token


def splice(left: Border, right: Border) -> tuple[int, int] | None:
    """Finds where the tokens of one chunk may follow those of the one before.

    Args:
      left: Of the first chunk, around its end.
      right: Of the second, around its begin.

    Returns:
      The first token that is no longer the first chunk's, and the same token
      in the second; None where there is no such place.
    """
    places: dict[tuple[int, int, int], list[int]] = {}
    for j, token in enumerate(right.tokens):
        places.setdefault(token, []).append(j)
    near = sorted(
        range(_AGREE, len(left.tokens) - _AGREE),
        key=lambda i: abs(left.tokens[i][1]),
    )
    for i in near:
        if not left.free[i]:
            continue
        around = left.tokens[i - _AGREE : i + _AGREE]
        for j in places.get(left.tokens[i], ()):
            if (
                j >= _AGREE
                and right.free[j]
                and right.tokens[j - _AGREE : j + _AGREE] == around
            ):
                return left.index + i, right.index + j
    return None


@dataclass
class _Region:
    """Chunks that have been encoded as one.

    Attributes:
      chunk: The text.
      encoded: Its tokens.
      begin: The first token that has not been given away.
      count: How many chunks there were.
    """

    chunk: Chunk
    encoded: Encoded
    begin: int = 0
    count: int = 1


def stitch(
    tokenizer: FileTokenizer,
    stream: Iterable[tuple[Chunk, Encoded]],
    *,
    overlap: int = OVERLAP,
    note: Callable[[str], None] = lambda line: None,
) -> Iterator[tuple[NDArray[np.integer], bool]]:
    """Yields the tokens of documents, in pieces.

    Args:
      tokenizer: Encodes again what cannot be cut.
      stream: Chunks in order, with their tokens.
      overlap: With which the chunks were made.
      note: Is told of text that cannot be cut.

    Yields:
      Tokens, and whether the document ends with them.
    """
    stream = iter(stream)
    for chunk, encoded in stream:
        region, noted = _Region(chunk, encoded), False
        while not region.chunk.last:
            following, encoded = next(stream)
            at = splice(region.encoded.right, encoded.left)
            if at:
                yield region.encoded.ids[region.begin : at[0]], False
                region = _Region(following, encoded, begin=at[1])
                continue
            joined = [following]
            while len(joined) < region.count and not joined[-1].last:
                joined.append(next(stream)[0])
            region = _join(tokenizer, region, joined, overlap)
            if len(region.chunk.text) >= _LARGE and not noted:
                noted = True
                note(
                    f"more than {_LARGE:,} characters in a row have no place "
                    "where this tokenizer can be stopped: they are encoded "
                    "in one piece, which takes about 150 times their memory"
                )
        yield region.encoded.ids[region.begin :], True


def _join(
    tokenizer: FileTokenizer,
    region: _Region,
    chunks: list[Chunk],
    overlap: int,
) -> _Region:
    text = region.chunk.text + "".join(c.text[2 * overlap :] for c in chunks)
    chunk = replace(region.chunk, text=text, last=chunks[-1].last)
    (encoded,) = encode_chunks(tokenizer, [chunk], overlap=overlap)
    before = region.encoded.ids[: region.begin]
    if not (encoded.ids[: region.begin] == before).all():
        raise RuntimeError(
            f"{tokenizer.name}: the tokens of a text change with what comes "
            f"{overlap} characters after it; such a tokenizer cannot be used"
        )
    return _Region(chunk, encoded, region.begin, region.count + len(chunks))
