"""Llama as Hugging Face's `LlamaForCausalLM`: the same shapes, other names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.config.model import ModelSection
    from eisbach.export.described import Described
    from eisbach.export.tensors import Tensors

    Parameters = dict[str, NDArray[Any]]

MODEL_TYPE = "llama"
# Rotary frequencies, which old files hold as tensors.
WITHOUT_EFFECT = re.compile(
    r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq"
)
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
        "head_dim": model.hidden // model.heads,
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


def sizes(described: Described) -> dict[str, Any]:
    """Reads `config.json`: the values of the section `model`."""
    hidden, heads = (
        described.get("hidden_size"),
        described.get("num_attention_heads"),
    )
    described.only("hidden_act", "silu", "swish")
    described.only("attention_bias", False)
    described.only("mlp_bias", False)
    described.only("partial_rotary_factor", 1.0)
    if hidden and heads:
        described.only("head_dim", hidden // heads)
    # Products in parts are the same products.
    described.without_effect("attention_dropout pretraining_tp")
    return {
        "family": "llama",
        "layers": described.get("num_hidden_layers"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": described.get("num_key_value_heads", heads),
        "ffn_hidden": described.get("intermediate_size"),
        "context": described.get("max_position_embeddings"),
        "vocab": described.get("vocab_size"),
        "tie_embeddings": described.get("tie_word_embeddings", False),
        "norm_eps": described.get("rms_norm_eps", 1e-6),
        "rope_theta": _rope_theta(described),
    }


def _rope_theta(described: Described) -> float:
    """Reads both spellings; a value inside the section goes first."""
    theta = described.get("rope_theta", 10000.0)
    for name in ("rope_scaling", "rope_parameters"):
        section = dict(described.get(name, {}))
        theta = section.pop("rope_theta", theta)
        kind = section.pop("rope_type", None) or section.pop("type", "default")
        section.pop("type", None)
        if section.get("partial_rotary_factor") == 1:
            del section["partial_rotary_factor"]
        if kind != "default":
            described.problem(
                f"{name}.rope_type={kind!r} is not there yet; it may be "
                "'default'"
            )
        elif section:
            described.problem(f"{name}.{', '.join(section)} is unknown")
    return theta


def to_ours(
    theirs: Tensors, model: ModelSection
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yields logical parameters."""
    for own, name in _names(model):
        yield own, theirs[name]


def describe_gguf(writer: Any, model: ModelSection) -> None:
    """Adds the family's own keys to a `gguf.GGUFWriter`."""
    writer.add_head_count_kv(model.kv_heads)
    writer.add_layer_norm_rms_eps(model.norm_eps)
    writer.add_rope_freq_base(model.rope_theta)
    writer.add_rope_dimension_count(model.hidden // model.heads)


def for_gguf(
    name: str, value: NDArray[Any], model: ModelSection
) -> NDArray[Any]:
    """Returns one of `to_theirs`, as GGUF keeps it.

    There the two numbers that rotate together are neighbours in a head of
    query and key; here they are half a head apart.
    """
    heads = {"q_proj": model.heads, "k_proj": model.kv_heads}
    found = next((n for n in heads if f".{n}." in name), None)
    if found is None:
        return value
    halves = value.reshape(heads[found], 2, -1, value.shape[-1])
    return halves.swapaxes(1, 2).reshape(value.shape)
