"""Llama, and families that differ from it in a few keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eisbach.export.family import Family
from eisbach.export.windows import layer_types, read_window

if TYPE_CHECKING:
    from eisbach.config.model import ModelSection
    from eisbach.export.described import Described


def _say_llama(model: ModelSection) -> dict[str, Any]:
    return {"attention_bias": model.qkv_bias, "mlp_bias": model.mlp_bias}


def _read_llama(described: Described) -> dict[str, Any]:
    bias = described.get("attention_bias", False)
    return {
        "qkv_bias": bias,
        "output_bias": bias,
        "mlp_bias": described.get("mlp_bias", False),
    }


def _say_mistral(model: ModelSection) -> dict[str, Any]:
    return {"sliding_window": model.window or None}


def _read_mistral(described: Described) -> dict[str, Any]:
    absent = 0 if described.is_null("sliding_window") else 4096
    window = described.get("sliding_window", absent)
    layers = described.get("num_hidden_layers") or 0
    return read_window(described, window, [True] * layers)


def _say_qwen2(model: ModelSection) -> dict[str, Any]:
    if not model.window:
        return {
            "use_sliding_window": False,
            "sliding_window": None,
            "max_window_layers": model.layers,
        }
    return {
        "use_sliding_window": True,
        "sliding_window": model.window,
        "max_window_layers": model.window_from,
        "layer_types": layer_types(model),
    }


def _read_qwen2(described: Described) -> dict[str, Any]:
    if not described.get("use_sliding_window", False):
        described.without_effect("sliding_window max_window_layers layer_types")
        return {}
    absent = 0 if described.is_null("sliding_window") else 4096
    window = described.get("sliding_window", absent)
    first = described.get("max_window_layers", 28)
    layers = described.get("num_hidden_layers") or 0
    return read_window(described, window, [i >= first for i in range(layers)])


def _say_qwen3(model: ModelSection) -> dict[str, Any]:
    return {"attention_bias": model.qkv_bias, **_say_qwen2(model)}


def _read_qwen3(described: Described) -> dict[str, Any]:
    bias = described.get("attention_bias", False)
    return {"qkv_bias": bias, "output_bias": bias, **_read_qwen2(described)}


def _read_no_window(described: Described) -> dict[str, Any]:
    """Refuses one in the layers without positions, as SmolLM3 may have it."""
    used = described.get("use_sliding_window", False)
    window = described.get("sliding_window", None)
    described.without_effect("max_window_layers layer_types")
    context = described.get("max_position_embeddings")
    if used and window is not None and window < (context or 0):
        described.problem(
            f"sliding_window={window} in layers without positions is not there "
            "yet; it may be null, or use_sliding_window false"
        )
    return {}


def _say_smollm3(model: ModelSection) -> dict[str, Any]:
    # No layer is one of so many.
    every = model.no_rope_every or model.layers + 1
    return {
        **_say_llama(model),
        "use_sliding_window": False,
        "pad_token_id": None,  # theirs is past a small vocabulary
        "no_rope_layer_interval": every,
        "no_rope_layers": [
            int((i + 1) % every != 0) for i in range(model.layers)
        ],
    }


def _read_smollm3(described: Described) -> dict[str, Any]:
    layers = described.get("num_hidden_layers") or 0
    every = described.get("no_rope_layer_interval", 4)
    said = described.get("no_rope_layers", None)
    regular = [int((i + 1) % every != 0) for i in range(layers)]
    if said is not None and said != regular:
        described.problem(
            f"no_rope_layers={said} is not every {every}th layer "
            "(no_rope_layer_interval), and other patterns are not there yet"
        )
    return {
        **_read_llama(described),
        **_read_no_window(described),
        "no_rope_every": every if every != layers + 1 else 0,
    }


LLAMA_LIKE = (
    Family(
        "llama",
        "llama",
        "llama",
        "LlamaForCausalLM",
        _say_llama,
        _read_llama,
    ),
    Family(
        "mistral",
        "mistral",
        "llama",
        "MistralForCausalLM",
        _say_mistral,
        _read_mistral,
        kv_heads=8,
    ),
    Family(
        "qwen2",
        "qwen2",
        "qwen2",
        "Qwen2ForCausalLM",
        _say_qwen2,
        _read_qwen2,
        kv_heads=32,
    ),
    Family(
        "qwen3",
        "qwen3",
        "qwen3",
        "Qwen3ForCausalLM",
        _say_qwen3,
        _read_qwen3,
        kv_heads=32,
    ),
    Family(
        "smollm3",
        "smollm3",
        "smollm3",
        "SmolLM3ForCausalLM",
        _say_smollm3,
        _read_smollm3,
        kv_heads=4,
        theta=2e6,
        tied=True,
    ),
)
