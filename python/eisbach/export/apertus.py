"""Apertus: no gate, and an activation with learned slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eisbach.export.family import ATTENTION, XIELU, Family

if TYPE_CHECKING:
    from eisbach.config.model import ModelSection
    from eisbach.export.described import Described

_BLOCK = (
    ("norm1", "attention_layernorm"),
    *ATTENTION,
    ("norm2", "feedforward_layernorm"),
    ("mlp.up", "mlp.up_proj"),
    *((name, f"mlp.act_fn.{name[4:]}") for name in XIELU),
    ("mlp.down", "mlp.down_proj"),
)


def _take_xielu(
    writer: Any, theirs: dict[str, Any], model: ModelSection
) -> None:
    """Slopes are keys of GGUF, a number a layer."""
    for name in ("alpha_p", "alpha_n", "beta", "eps"):
        values = [
            float(theirs.pop(f"model.layers.{i}.mlp.act_fn.{name}").reshape(()))
            for i in range(model.layers)
        ]
        getattr(writer, f"add_xielu_{name}")(values)


def _say_apertus(model: ModelSection) -> dict[str, Any]:
    return {
        "attention_bias": model.qkv_bias,
        "pad_token_id": None,  # theirs would be a token without gradient
        "qk_norm": True,
        "post_norm": False,
    }


def _read_apertus(described: Described) -> dict[str, Any]:
    # What its first files say and transformers does not read.
    described.only("mlp_bias", False)
    described.only("qk_norm", True)
    described.only("post_norm", False)
    bias = described.get("attention_bias", False)
    found = {"qkv_bias": bias, "output_bias": bias}
    sections = ("rope_scaling", "rope_parameters")
    if all(described.get(name, None) is None for name in sections):
        found |= {  # what transformers takes then
            "rope_scaling": "llama3",
            "rope_factor": 8.0,
            "rope_original_context": 8192,
            "rope_low_frequency": 1.0,
            "rope_high_frequency": 4.0,
        }
    return found


APERTUS = Family(
    "apertus",
    "apertus",
    "apertus",
    "ApertusForCausalLM",
    _say_apertus,
    _read_apertus,
    theta=12e6,
    block=_BLOCK,
    activation=("hidden_act", "xielu"),
    constants={"mlp.act_fn.beta": 0.5, "mlp.act_fn.eps": -1e-6},
    take_for_gguf=_take_xielu,
)
