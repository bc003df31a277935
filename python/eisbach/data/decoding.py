"""Tokens to text, whatever the ids are."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable


def decode_known(
    tokens: Iterable[int],
    known: Container[int],
    text: Callable[[list[int]], str],
) -> str:
    """Joins the texts of ids; one that is not `known` becomes `<id>`.

    Args:
      tokens: Any integers.
      known: The ids that have a token.
      text: Returns the text of known ids that follow one another.
    """
    parts = []
    for is_known, group in itertools.groupby(
        map(int, tokens), known.__contains__
    ):
        ids = list(group)
        parts.append(text(ids) if is_known else "".join(f"<{i}>" for i in ids))
    return "".join(parts)
