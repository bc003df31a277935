"""Tokens of marked texts, and which of them are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.data.spans import Marked
from eisbach.data.tokenizer import ByteTokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.data.tokenizer import Tokenizer

    Masked = tuple[NDArray[np.integer], NDArray[np.uint8]]


def encode_marked(
    tokenizer: Tokenizer, documents: list[Marked]
) -> list[Masked]:
    """Makes tokens of documents, with the mask of each.

    Nothing is put before or after a text that a template wrote. A token is
    trained when its last character lies in a span: one over the begin of a span
    holds some of what is trained, and one over its end holds what is not.

    Args:
      tokenizer: Makes the tokens.
      documents: With their spans.

    Returns:
      Ids, and 1 for each that is trained, else 0.
    """
    texts = [document.text for document in documents]
    if isinstance(tokenizer, ByteTokenizer):
        found = [_bytes(text) for text in texts]
    else:
        found = [
            (tokenizer.ids(encoding), _ends(encoding))
            for encoding in tokenizer.encodings(texts)
        ]
    return [
        _masked(tokenizer, document, ids, ends)
        for document, (ids, ends) in zip(documents, found, strict=True)
    ]


def _bytes(text: str) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    ids = np.frombuffer(text.encode(), dtype=np.uint8)
    # All bytes of a character but its first begin with the bits 10.
    return ids, np.cumsum(ids & 0xC0 != 0x80)


def _ends(encoding: Any) -> NDArray[np.int64]:
    offsets = np.asarray(encoding.offsets, dtype=np.int64)
    return offsets.reshape(-1, 2)[:, 1]


def _masked(
    tokenizer: Tokenizer,
    document: Marked,
    ids: NDArray[np.integer],
    ends: NDArray[np.int64],
) -> Masked:
    # Of each place in the text, whether the character before it is trained.
    after = np.zeros(len(document.text) + 1, dtype=np.uint8)
    for begin, end in document.spans:
        after[begin + 1 : end + 1] = 1
    ids, mask = ids.astype(np.int32), after[ends]
    if not document.bare:
        return ids, mask
    begin = np.asarray(tokenizer.begin_of_document, dtype=np.int32)
    end = tokenizer.end_of_document
    close = np.asarray([] if end is None else [end], dtype=np.int32)
    return (
        np.concatenate([begin, ids, close]),
        np.concatenate(
            [
                np.zeros(len(begin), dtype=np.uint8),
                mask,
                np.ones(len(close), dtype=np.uint8),
            ]
        ),
    )
