"""A `tokenizer.json` as llama.cpp describes a byte-level vocabulary.

llama.cpp splits text by a rule that it knows by name (its `pre`), so only
tokenizers with one of these rules can be described.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says of its tokens.

    Attributes:
      pre: llama.cpp's name of the rule that splits text.
      tokens: By id; those without a token are `[PADid]`.
      types: Of each, by `gguf.TokenType`.
      merges: Pairs, best first; at least one, as llama.cpp asks for it.
      never: A token that no text in UTF-8 holds; None if there is none.
    """

    pre: str
    tokens: list[str]
    types: list[int]
    merges: list[str]
    never: int | None


def vocabulary(text: str, size: int) -> Vocabulary:
    """Reads a `tokenizer.json`.

    Args:
      text: Of the file.
      size: Rows of the model's embedding.

    Raises:
      ValueError: llama.cpp has no such tokenizer, or it has more tokens.
    """
    from gguf import TokenType

    values = json.loads(text)
    model = values["model"]
    merges = [
        pair if isinstance(pair, str) else " ".join(pair)
        for pair in model.get("merges", ())
    ]
    pre = _pre(values, merges)
    tokens = {i: (f"[PAD{i}]", TokenType.UNUSED) for i in range(size)}
    for name, i in model["vocab"].items():
        tokens[i] = (name, TokenType.NORMAL)
    for added in values.get("added_tokens", ()):
        special = added["special"]
        kind = TokenType.CONTROL if special else TokenType.USER_DEFINED
        tokens[added["id"]] = (added["content"], kind)
    if len(tokens) > size:
        raise ValueError(
            f"the tokenizer has {len(tokens)} tokens, the model {size} "
            "(model.vocab)"
        )
    listed = [tokens[i] for i in range(size)]
    return Vocabulary(
        pre,
        [name for name, _ in listed],
        [kind for _, kind in listed],
        merges or [_NEVER],
        model["vocab"].get("ÿ"),  # byte 255
    )


def _pre(values: dict[str, Any], merges: list[str]) -> str:
    """Finds llama.cpp's name of how a tokenizer splits text.

    Raises:
      ValueError: It has none.
    """
    model = values["model"]
    kind = model.get("type", "BPE")
    if kind != "BPE" or model.get("byte_fallback"):
        byte_fallback = " with byte_fallback" * bool(model.get("byte_fallback"))
        raise _unknown(f"its model is {kind}{byte_fallback}")
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
    pre = _name(before, bytes_.get("use_regex", True), bool(merges))
    if merges and model.get("ignore_merges", False) != (pre in _IGNORES_MERGES):
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
        "SmolLM do"
    )
