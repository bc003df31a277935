"""Rotary positions as `config.json` spells them, in both of its dialects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from eisbach.config.model import ModelSection
    from eisbach.export.described import Described

# Their key, ours, and what its absence means; by kind.
_NUMBERS = {
    "linear": (("factor", "rope_factor", None),),
    "llama3": (
        ("factor", "rope_factor", None),
        (
            "original_max_position_embeddings",
            "rope_original_context",
            None,
        ),
        ("low_freq_factor", "rope_low_frequency", None),
        ("high_freq_factor", "rope_high_frequency", None),
    ),
    "yarn": (
        ("factor", "rope_factor", None),
        (
            "original_max_position_embeddings",
            "rope_original_context",
            None,
        ),
        ("beta_slow", "rope_beta_slow", 1.0),
        ("beta_fast", "rope_beta_fast", 32.0),
        ("attention_factor", "rope_attention_factor", 0.0),
    ),
}
_SECTIONS = ("rope_scaling", "rope_parameters")  # before, since version 5


def rotary_config(model: ModelSection) -> dict[str, Any]:
    """Returns what `config.json` says, before and since version 5."""
    kind = model.rope_scaling
    numbers = {
        theirs: getattr(model, ours)
        for theirs, ours, _ in _NUMBERS.get(kind, ())
    }
    if numbers.get("attention_factor") == 0:
        del numbers["attention_factor"]
    found: dict[str, Any] = {
        "rope_theta": model.rope_theta,
        "rope_parameters": {
            "rope_type": "default" if kind == "none" else kind,
            "rope_theta": model.rope_theta,
            **numbers,
        },
    }
    if numbers:
        found["rope_scaling"] = {"rope_type": kind, **numbers}
    return found


def read_rotary(
    described: Described, *, default_theta: float = 10000.0
) -> dict[str, Any]:
    """Reads both dialects; a value inside a section goes first."""
    found: dict[str, Any] = {
        "rope_theta": float(described.get("rope_theta", default_theta))
    }
    described.only("partial_rotary_factor", 1.0)
    for name in _SECTIONS:
        section = dict(described.get(name, {}))
        found["rope_theta"] = float(
            section.pop("rope_theta", found["rope_theta"])
        )
        kind = section.pop("rope_type", None) or section.pop("type", "default")
        section.pop("type", None)
        if section.get("partial_rotary_factor") == 1:
            del section["partial_rotary_factor"]
        # Of yarn, that its ramp begins and ends at whole pairs.
        if kind == "yarn" and not section.pop("truncate", True):
            described.problem(f"{name}.truncate=false is not there yet")
        if kind != "default":
            found["rope_scaling"] = kind
            found.update(_numbers(described, name, kind, section))
        if section:
            described.problem(f"{name}.{', '.join(section)} is unknown")
    return found


def _numbers(
    described: Described, name: str, kind: str, section: dict[str, Any]
) -> dict[str, Any]:
    if kind not in _NUMBERS:
        section.clear()
        described.problem(
            f"{name}.rope_type={kind!r} is not there yet; it may be "
            f"'default', {', '.join(map(repr, _NUMBERS))}"
        )
        return {}
    found = {}
    for theirs, ours, default in _NUMBERS[kind]:
        value = section.pop(theirs, None)
        if value is None:
            value = default
        if value is None:
            described.problem(f"{name} has no {theirs}")
            continue
        is_count = ours == "rope_original_context"
        found[ours] = int(value) if is_count else float(value)
    return found


def add_rope_scaling(writer: Any, model: ModelSection) -> None:
    """Adds the keys, or the tensor of llama3, to a `gguf.GGUFWriter`.

    Raises:
      ValueError: llama.cpp sharpens attention by a factor of its own.
    """
    import gguf

    if model.rope_scaling == "llama3":
        # What each frequency of plain positions is divided by.
        plain = model.model_copy(update={"rope_scaling": "none"})
        factors = _frequencies(plain) / _frequencies(model)
        writer.add_tensor("rope_freqs.weight", factors.astype(np.float32))
    elif model.rope_scaling != "none":
        kind = gguf.RopeScalingType[model.rope_scaling.upper()]
        writer.add_rope_scaling_type(kind)
        writer.add_rope_scaling_factor(model.rope_factor)
    if model.rope_scaling == "yarn":
        if model.rope_attention_factor:
            raise ValueError(
                f"model.rope_attention_factor={model.rope_attention_factor}: "
                "llama.cpp computes it itself; it may be 0"
            )
        writer.add_rope_scaling_orig_ctx_len(model.rope_original_context)
        writer.add_rope_scaling_yarn_beta_fast(model.rope_beta_fast)
        writer.add_rope_scaling_yarn_beta_slow(model.rope_beta_slow)


def _frequencies(model: ModelSection) -> np.ndarray:
    from eisbach.core_config import rope_options

    return np.array(rope_options(model).frequencies(model.head_dim))
