"""OLMo 2: norms of what attention and MLP give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eisbach.export.family import ATTENTION, GATED_MLP, Family

if TYPE_CHECKING:
    from eisbach.config.model import ModelSection
    from eisbach.export.described import Described

_BLOCK = (
    *ATTENTION,
    ("post_norm1", "post_attention_layernorm"),
    *GATED_MLP,
    ("post_norm2", "post_feedforward_layernorm"),
)


def _say_olmo2(model: ModelSection) -> dict[str, Any]:
    # Theirs would be a token of ours that has no gradient.
    return {"attention_bias": model.qkv_bias, "pad_token_id": None}


def _read_olmo2(described: Described) -> dict[str, Any]:
    bias = described.get("attention_bias", False)
    return {"qkv_bias": bias, "output_bias": bias}


OLMO2 = Family(
    "olmo2",
    "olmo2",
    "olmo2",
    "Olmo2ForCausalLM",
    _say_olmo2,
    _read_olmo2,
    block=_BLOCK,
)
