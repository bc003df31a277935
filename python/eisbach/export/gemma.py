"""Gemma 2 and 3, the models of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eisbach.export.family import ATTENTION, GATED_MLP, Family
from eisbach.export.rotary import read_rotary, rotary_config, typed_section
from eisbach.export.windows import (
    layer_types,
    layers_with_window,
    read_window,
)

if TYPE_CHECKING:
    from eisbach.config.model import ModelSection
    from eisbach.export.described import Described

_BLOCK = (
    ("norm1", "input_layernorm"),
    *ATTENTION,
    ("post_norm1", "post_attention_layernorm"),
    ("norm2", "pre_feedforward_layernorm"),
    *GATED_MLP,
    ("post_norm2", "post_feedforward_layernorm"),
)
_CAPS = (
    ("attention_cap", "attn_logit_softcapping"),
    ("final_cap", "final_logit_softcapping"),
)
_FULL, _SLIDING = "full_attention", "sliding_attention"


def _say(model: ModelSection) -> dict[str, Any]:
    # Scores are multiplied by the inverse root of this.
    scalar = (
        round(model.attention_scale**-2)
        if model.attention_scale
        else model.head_dim
    )
    return {
        "attention_bias": model.qkv_bias,
        "pad_token_id": None,  # theirs would be a token without gradient
        "query_pre_attn_scalar": scalar,
        "sliding_window": model.window or None,
        "layer_types": layer_types(model),
        **{theirs: getattr(model, ours) or None for ours, theirs in _CAPS},
    }


def _read(
    described: Described, caps: tuple[float, float], every: int
) -> dict[str, Any]:
    """Reads what both have.

    Args:
      described: The file.
      caps: Of attention and logits where it says none.
      every: One layer in so many has no window where it does not say which.
    """
    bias = described.get("attention_bias", False)
    found = {"qkv_bias": bias, "output_bias": bias}
    described.only("use_bidirectional_attention", False)
    described.without_effect("hidden_act cache_implementation")
    for (ours, theirs), cap in zip(_CAPS, caps, strict=True):
        absent = 0.0 if described.is_null(theirs) else cap
        found[ours] = float(described.get(theirs, absent))
    scalar = described.get("query_pre_attn_scalar", 256)
    width = described.get("head_dim", 256)
    found["attention_scale"] = 0.0 if scalar == width else scalar**-0.5
    absent = 0 if described.is_null("sliding_window") else 4096
    window = described.get("sliding_window", absent)
    layers = described.get("num_hidden_layers") or 0
    default = [(i + 1) % every != 0 for i in range(layers)]
    none = dict.fromkeys(("window", "window_from", "window_full_every"), 0)
    said = read_window(described, window, default, usual=every)
    return {**found, **none, **said}


def _read_gemma2(described: Described) -> dict[str, Any]:
    return _read(described, (50.0, 30.0), 2)


def _say_gemma3(model: ModelSection) -> dict[str, Any]:
    said = rotary_config(model)
    own = model.window_rope_theta or model.rope_theta
    said["rope_local_base_freq"] = own
    said["rope_parameters"] = {
        _FULL: said["rope_parameters"],
        _SLIDING: {"rope_type": "default", "rope_theta": own},
    }
    return {**_say(model), **said}


def _read_gemma3(described: Described) -> dict[str, Any]:
    found = _read(described, (0.0, 0.0), described.get(
        "sliding_window_pattern", 6))  # fmt: skip
    said = dict(described.get("rope_parameters", {}))
    full = said.pop(_FULL, None) or {}
    own = typed_section(
        described,
        f"rope_parameters.{_SLIDING}",
        said.pop(_SLIDING, None) or {},
    )
    found |= read_rotary(
        described,
        default_theta=1e6,
        sections={
            "rope_scaling": described.get("rope_scaling", {}),
            f"rope_parameters.{_FULL}": full,
        },
    )
    theta = described.get("rope_local_base_freq", 1e4)
    theta = float(own.pop("rope_theta", theta))
    if own.pop("rope_type", "default") != "default":
        said[f"{_SLIDING}.rope_type"] = None
    said |= {f"{_SLIDING}.{name}": None for name in own}
    for name in said:
        described.problem(f"rope_parameters.{name} is not there yet")
    found["window_rope_theta"] = theta if found["window"] else 0.0
    return found


def _take_for_gguf(
    writer: Any, theirs: dict[str, Any], model: ModelSection
) -> None:
    """Adds the keys of Gemma.

    Raises:
      ValueError: llama.cpp computes it otherwise.
    """
    del theirs
    gemma2 = model.family == "gemma2"
    every, theta = (2, 0.0) if gemma2 else (6, 1e4)
    if gemma2:
        needs = {"attention_cap": "above 0", "final_cap": "above 0"}
        wrong = [n for n in needs if getattr(model, n) == 0]
    else:
        needs = {"attention_cap": "0", "final_cap": "0"}
        wrong = [n for n in needs if getattr(model, n) != 0]
    if wrong:
        value = getattr(model, wrong[0])
        raise ValueError(
            f"model.{wrong[0]}={value}: llama.cpp takes {needs[wrong[0]]} for "
            f"{model.family}"
        )
    usual = [(i + 1) % every != 0 for i in range(model.layers)]
    if layers_with_window(model) != usual:
        raise ValueError(
            f"model.window_full_every={model.window_full_every}: llama.cpp "
            f"takes a window in all layers but every {every}th for "
            f"{model.family}"
        )
    if model.window_rope_theta != theta:
        raise ValueError(
            f"model.window_rope_theta={model.window_rope_theta}: llama.cpp "
            f"takes {theta} for {model.family}"
        )
    writer.add_sliding_window(model.window)
    if gemma2:
        writer.add_attn_logit_softcapping(model.attention_cap)
        writer.add_final_logit_softcapping(model.final_cap)


def _family(number: int, model_type: str, say: Any, read: Any) -> Family:
    return Family(
        f"gemma{number}",
        model_type,
        f"gemma{number}",
        f"Gemma{number}ForCausalLM",
        say,
        read,
        kv_heads=4,
        tied=True,
        block=_BLOCK,
        activation=("hidden_activation", "gelu_pytorch_tanh"),
        head_dim=256,
        gguf_says=("attention_cap", "final_cap", "window"),
        take_for_gguf=_take_for_gguf,
        rotary=number == 2,
    )


GEMMA = (
    _family(2, "gemma2", _say, _read_gemma2),
    _family(3, "gemma3_text", _say_gemma3, _read_gemma3),
)
