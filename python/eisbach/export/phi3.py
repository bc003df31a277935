"""Phi-3, whose files have several of our layers as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eisbach.export.family import Family
from eisbach.export.windows import read_window

if TYPE_CHECKING:
    from eisbach.config.model import ModelSection
    from eisbach.export.described import Described


def _say_phi3(model: ModelSection) -> dict[str, Any]:
    original = model.rope_original_context or model.context
    return {
        "resid_pdrop": model.dropout,
        "embd_pdrop": model.dropout,
        "partial_rotary_factor": model.rope_fraction,
        "original_max_position_embeddings": original,
        "sliding_window": model.window or None,
        "pad_token_id": None,  # theirs is past a small vocabulary
    }


def _read_phi3(described: Described) -> dict[str, Any]:
    described.without_effect("resid_pdrop embd_pdrop")
    layers = described.get("num_hidden_layers") or 0
    window = described.get("sliding_window", 0)
    return read_window(described, window, [True] * layers)


PHI3 = Family(
    "phi3",
    "phi3",
    "phi3",
    "Phi3ForCausalLM",
    _say_phi3,
    _read_phi3,
    STACKED={
        "attention.qkv": (
            "attention.query",
            "attention.key",
            "attention.value",
        ),
        "mlp.gate_up": ("mlp.gate", "mlp.up"),
    },
    stacked_names={
        "attention.qkv": "self_attn.qkv_proj",
        "mlp.gate_up": "mlp.gate_up_proj",
    },
    partial=True,
)
