"""A `tokenizer.json` as llama.cpp describes a vocabulary.

Of byte-level tokenizers llama.cpp splits text by a rule that it knows by name
(its `pre`), so only those with one of these rules can be described. Those that
were made of a SentencePiece model are in `gguf_pieces`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from eisbach.export.gguf_pieces import (
    byte_pieces,
    is_pieces,
    scores,
    space_before,
)

_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_REGEX = {
    _LETTERS + r"\p{N}{1,3}" + _REST: "llama-bpe",
    _LETTERS + r"\p{N}" + _REST: "qwen2",
}
# llama.cpp takes a whole word that is a token without merging, with these.
_IGNORES_MERGES = ("llama-bpe",)
# A pair that no text can hold, since nothing makes its halves.
_NEVER = "~~~~ ~~~~"
# Of a token that nothing is merged to.
_WORTHLESS = -1e6


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says of its tokens.

    Attributes:
      kind: `gpt2` of byte-level tokenizers, `llama` of SentencePiece's.
      pre: llama.cpp's name of the rule that splits text.
      tokens: By id; those without a token are `[PADid]`.
      types: Of each, by `gguf.TokenType`.
      merges: Of `gpt2`: pairs, best first; at least one, as llama.cpp asks for
        it.
      scores: Of `llama`: what each token is worth.
      space: Of `llama`: whether a text begins with a space.
      unknown: The token of what is no text; None if there is none.
      never: A token that no text in UTF-8 holds; None if there is none.
      remarks: What llama.cpp does otherwise than the tokenizer.
    """

    kind: str
    pre: str
    tokens: list[str]
    types: list[int]
    merges: list[str]
    scores: list[float]
    space: bool
    unknown: int | None
    never: int | None
    remarks: list[str]


def vocabulary(text: str, size: int) -> Vocabulary:
    """Reads a `tokenizer.json`.

    Args:
      text: Of the file.
      size: Rows of the model's embedding.

    Raises:
      ValueError: llama.cpp has no such tokenizer, or it has more tokens.
    """
    values = json.loads(text)
    model, added = values["model"], values.get("added_tokens", ())
    pairs = [
        tuple(pair.split(" ") if isinstance(pair, str) else pair)
        for pair in model.get("merges", ())
    ]
    pieces = is_pieces(model)
    remarks: list[str] = []
    worth: dict[str, float] = {}
    space = False
    if pieces:
        pre = "default"
        try:
            space, remark = space_before(values)
            worth = scores(model, pairs, {one["content"] for one in added})
        except ValueError as error:
            raise _unknown(str(error)) from None
        remarks += [remark] if remark else []
    else:
        if (values.get("normalizer") or {}).get("type") == "NFC":
            values["normalizer"] = None
            remarks.append(
                "llama.cpp leaves text as it is, where this tokenizer brings "
                "it to Unicode's form NFC; most text is in it"
            )
        pre = _pre(values, bool(pairs))
    listed = _listed(values, size)
    return Vocabulary(
        "llama" if pieces else "gpt2",
        pre,
        [name for name, _ in listed],
        [kind for _, kind in listed],
        [" ".join(pair) for pair in pairs] or [_NEVER],
        [worth.get(name, _WORTHLESS) for name, _ in listed],
        space,
        model["vocab"].get(model.get("unk_token")),
        model["vocab"].get("<0xFF>" if pieces else "ÿ"),
        remarks,
    )


def _listed(values: dict[str, Any], size: int) -> list[tuple[str, int]]:
    """Returns each token and its type, by id.

    Raises:
      ValueError: There are more than `size`.
    """
    from gguf import TokenType

    model = values["model"]
    pieces = is_pieces(model)
    unknown = model["vocab"].get(model.get("unk_token")) if pieces else None
    tokens = {i: (f"[PAD{i}]", TokenType.UNUSED) for i in range(size)}
    for name, i in model["vocab"].items():
        tokens[i] = (name, TokenType.NORMAL)
    for name in byte_pieces() if pieces else ():
        tokens[model["vocab"][name]] = (name, TokenType.BYTE)
    for one in values.get("added_tokens", ()):
        special = one["special"]
        kind = TokenType.CONTROL if special else TokenType.USER_DEFINED
        tokens[one["id"]] = (one["content"], kind)
    if unknown is not None:
        tokens[unknown] = (model["unk_token"], TokenType.UNKNOWN)
    if len(tokens) > size:
        raise ValueError(
            f"the tokenizer has {len(tokens)} tokens, the model {size} "
            "(model.vocab)"
        )
    return [tokens[i] for i in range(size)]


def _pre(values: dict[str, Any], has_merges: bool) -> str:
    """Finds llama.cpp's name of how a tokenizer splits text.

    Raises:
      ValueError: It has none.
    """
    model = values["model"]
    kind = model.get("type", "BPE")
    if kind != "BPE":
        raise _unknown(f"its model is {kind}")
    if values.get("normalizer"):
        raise _unknown(f"it normalizes text ({values['normalizer']['type']})")
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise _unknown(f"it has {name}={model[name]!r}")
    steps = values.get("pre_tokenizer") or {}
    steps = steps.get("pretokenizers", [steps] if steps else [])
    if not steps or steps[-1]["type"] != "ByteLevel":
        raise _unknown("it does not spell text as bytes (ByteLevel)")
    *before, bytes_ = steps
    if bytes_["add_prefix_space"]:
        raise _unknown("it puts a space before each text (add_prefix_space)")
    pre = _name(before, bytes_.get("use_regex", True), has_merges)
    if has_merges and model.get("ignore_merges", False) != (
        pre in _IGNORES_MERGES
    ):
        raise _unknown(
            f"ignore_merges={model.get('ignore_merges', False)} does not go "
            f"with its rule {pre}"
        )
    return pre


def _name(
    before: list[dict[str, Any]], use_regex: bool, has_merges: bool
) -> str:
    if not has_merges or (not before and use_regex):
        return "gpt-2"
    if len(before) == 1:
        step = before[0]
        if step["type"] == "Digits" and step["individual_digits"] and use_regex:
            return "smollm"
        if step["type"] == "Split" and not use_regex:
            regex = step["pattern"].get("Regex")
            plain = step["behavior"] == "Isolated" and not step["invert"]
            if plain and regex in _REGEX:
                return _REGEX[regex]
    names = ", ".join(step["type"] for step in before) or "no rule"
    raise _unknown(f"it splits text by a rule of its own ({names})")


def _unknown(reason: str) -> ValueError:
    return ValueError(
        f"llama.cpp cannot make the tokens of this tokenizer: {reason}; it "
        "knows byte-level BPE that splits text as GPT-2, Llama 3, Qwen2 or "
        "SmolLM do, and BPE of SentencePiece"
    )
