"""A `tokenizer.json` that was made of a SentencePiece model, for llama.cpp.

SentencePiece's BPE merges whatever two neighbours make a token, the best token
first. A `tokenizer.json` lists the pairs instead, best first. Both make the
same tokens if all pairs of a token stand together in that list and none is
missing, which is tried here; what a token is worth is then its place in it.
Runs of spaces may mix.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

SPACE = "\u2581"


def is_pieces(model: dict[str, Any]) -> bool:
    """Whether a tokenizer's `model` spells unknown text as bytes."""
    return model.get("type", "BPE") == "BPE" and bool(
        model.get("byte_fallback")
    )


def byte_pieces() -> list[str]:
    """The tokens of single bytes, in their order."""
    return [f"<0x{byte:02X}>" for byte in range(256)]


def scores(
    model: dict[str, Any], pairs: Sequence[tuple[str, str]], added: set[str]
) -> dict[str, float]:
    """What each token is worth that a pair makes: the more, the sooner.

    Args:
      model: Of the file.
      pairs: Its merges, best first.
      added: Tokens that are found before anything is merged.

    Raises:
      ValueError: SentencePiece would merge otherwise.
    """
    vocab = model["vocab"]
    if model.get("ignore_merges"):
        raise ValueError("ignore_merges=True takes a text for a token at once")
    if missing := [byte for byte in byte_pieces() if byte not in vocab]:
        raise ValueError(f"it has no token {missing[0]} of a byte")
    worth: dict[str, float] = {}
    for i, block in enumerate(_blocks(pairs)):
        if len(block) > 1 and not _are_runs(block, worth):
            raise ValueError(
                f"the pairs of {block[0]!r} are apart in its merges"
            )
        worth.update(dict.fromkeys(block, -float(i)))
    listed = set(pairs)
    made = worth.keys() | {token for token in vocab if len(token) == 1}
    for token in vocab:
        if token in added:
            continue
        for cut in range(1, len(token)):
            pair = token[:cut], token[cut:]
            if made.issuperset(pair) and pair not in listed:
                raise ValueError(
                    f"no merge makes {token!r} of {pair[0]!r} and {pair[1]!r}"
                )
    return worth


def _blocks(pairs: Sequence[tuple[str, str]]) -> Iterator[list[str]]:
    """Yields the tokens that pairs make, those together whose pairs mix."""
    last = {left + right: i for i, (left, right) in enumerate(pairs)}
    block: dict[str, None] = {}
    end = -1
    for i, (left, right) in enumerate(pairs):
        if i > end and block:
            yield list(block)
            block = {}
        block[left + right] = None
        end = max(end, last[left + right])
    if block:
        yield list(block)


def _are_runs(tokens: list[str], before: Collection[str]) -> bool:
    """Whether tokens are runs of one character that miss no length.

    SentencePiece has those of spaces at one score. Where each length is a
    token both take as many as they can, whatever the order.

    Args:
      tokens: Of a block.
      before: Tokens that are worth more.
    """
    character = tokens[0][0]
    lengths = sorted(map(len, tokens))
    below = lengths[0] - 1
    return (
        set("".join(tokens)) == {character}
        and lengths == list(range(lengths[0], lengths[0] + len(tokens)))
        and (below == 1 or character * below in before)
    )


def space_before(values: dict[str, Any]) -> tuple[bool, str | None]:
    """How a text begins, in a `tokenizer.json`.

    Returns:
      Whether with a space; and what llama.cpp does otherwise, if anything.

    Raises:
      ValueError: llama.cpp cannot do as it says.
    """
    normalizer, splitter = values.get("normalizer"), values.get("pre_tokenizer")
    steps = (normalizer or {}).get("normalizers", [normalizer])
    steps = [step for step in steps if step]
    first = {"type": "Prepend", "prepend": SPACE}
    spaces = {
        "type": "Replace",
        "pattern": {"String": " "},
        "content": SPACE,
    }
    prepends = first in steps
    if [step for step in steps if step not in (first, spaces)]:
        names = ", ".join(step["type"] for step in steps)
        raise ValueError(f"it normalizes text ({names})")
    kind = (splitter or {}).get("type")
    if kind == "Metaspace" and not steps:
        return _of_metaspace(splitter)
    if spaces not in steps:
        raise ValueError(f"it does not spell a space as {SPACE}")
    # Splits at spaces, of which none is left.
    idle = {"type": "Split", "pattern": {"String": " "}}
    if splitter and not idle.items() <= splitter.items():
        raise ValueError(f"it splits text by a rule of its own ({kind})")
    return prepends, None


def _of_metaspace(splitter: dict[str, Any]) -> tuple[bool, str | None]:
    if splitter.get("replacement") != SPACE or splitter.get("split", True):
        raise ValueError("it splits text at spaces (Metaspace)")
    scheme = splitter.get("prepend_scheme", "always")
    if scheme == "never":
        return False, None
    where = "each part" if scheme == "always" else "the text"
    return True, (
        "llama.cpp puts a space before a text and behind each special token; "
        f"this tokenizer puts one before {where}, if there is none yet "
        f"(prepend_scheme={scheme})"
    )
