"""Tokens of documents, as a stream in bounded memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from eisbach.data.chunks import Chunk, chunks, tasks
from eisbach.data.stitch import encode_chunks, stitch
from eisbach.data.tokenizer import ByteTokenizer
from eisbach.data.workers import Workers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from eisbach.data.tokenizer import Tokenizer

    Piece = tuple[NDArray[np.integer], bool]


def encode_documents(
    tokenizer: Tokenizer,
    documents: Iterable[Iterable[str]],
    *,
    processes: int = 1,
    note: Callable[[str], None] = lambda line: None,
) -> Iterator[Piece]:
    """Yields the tokens of documents, without begin and end, in pieces.

    They are those of each whole document, whatever the pieces are.

    Args:
      tokenizer: Makes the tokens.
      documents: The text of each, in pieces of any length.
      processes: How many make tokens.
      note: Is told of what needs much memory.

    Yields:
      Tokens, and whether a document ends with them.
    """
    if isinstance(tokenizer, ByteTokenizer):
        yield from _bytes(tokenizer, documents)
        return
    work = functools.partial(encode_chunks, tokenizer)
    with Workers(work, processes) as workers:
        groups = tasks(_all_chunks(documents))
        yield from stitch(tokenizer, workers.done(groups), note=note)


def _all_chunks(documents: Iterable[Iterable[str]]) -> Iterator[Chunk]:
    for number, pieces in enumerate(documents):
        yield from chunks(number, pieces)


def _bytes(
    tokenizer: ByteTokenizer, documents: Iterable[Iterable[str]]
) -> Iterator[Piece]:
    for pieces in documents:
        for piece in pieces:
            yield tokenizer.encode(piece.encode()), False
        yield tokenizer.encode(b""), True
