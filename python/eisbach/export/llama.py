"""Llama as Hugging Face's `LlamaForCausalLM`: the same shapes, other names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.config.model import ModelSection

    Parameters = dict[str, NDArray[Any]]

_BLOCK = (
    ("norm1", "input_layernorm"),
    ("attention.query", "self_attn.q_proj"),
    ("attention.key", "self_attn.k_proj"),
    ("attention.value", "self_attn.v_proj"),
    ("attention.output", "self_attn.o_proj"),
    ("norm2", "post_attention_layernorm"),
    ("mlp.gate", "mlp.gate_proj"),
    ("mlp.up", "mlp.up_proj"),
    ("mlp.down", "mlp.down_proj"),
)


def config(model: ModelSection) -> dict[str, Any]:
    """Returns what `config.json` says of the model."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": model.vocab,
        "max_position_embeddings": model.context,
        "hidden_size": model.hidden,
        "intermediate_size": model.ffn_hidden,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "rms_norm_eps": model.norm_eps,
        # Before and since version 5 of transformers.
        "rope_theta": model.rope_theta,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": model.rope_theta,
        },
        "initializer_range": 0.02,
        "tie_word_embeddings": model.tie_embeddings,
    }


def _names(model: ModelSection) -> Iterator[tuple[str, str]]:
    yield "embedding.token.weight", "model.embed_tokens.weight"
    yield "final_norm.weight", "model.norm.weight"
    if not model.tie_embeddings:
        yield "head.weight", "lm_head.weight"
    for i in range(model.layers):
        for own, name in _BLOCK:
            yield f"blocks.{i}.{own}.weight", f"model.layers.{i}.{name}.weight"


def to_theirs(ours: Parameters, model: ModelSection) -> Parameters:
    """Renames logical parameters."""
    return {name: ours[own] for own, name in _names(model)}


def to_ours(
    theirs: Parameters, model: ModelSection
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yields logical parameters of what `to_theirs` made."""
    for own, name in _names(model):
        yield own, theirs[name]
