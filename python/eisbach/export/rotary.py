"""Rotary positions as `config.json` spells them, in both of its dialects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.export.described import is_number, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    "longrope": (
        ("factor", "rope_factor", None),
        (
            "original_max_position_embeddings",
            "rope_original_context",
            None,
        ),
        ("short_factor", "rope_short_factors", None),
        ("long_factor", "rope_long_factors", None),
        ("attention_factor", "rope_attention_factor", 0.0),
    ),
}
# What Phi-3 has called longrope.
_LONGROPE = ("longrope", "su", "yarn")
_SECTIONS = ("rope_scaling", "rope_parameters")  # before, since version 5


def rotary_config(
    model: ModelSection, *, partial: bool = False
) -> dict[str, Any]:
    """Returns what `config.json` says, before and since version 5.

    Args:
      model: Of the run.
      partial: Whether it may say that a part of a head is rotated.
    """
    kind = model.rope_scaling
    numbers = {
        theirs: getattr(model, ours)
        for theirs, ours, _ in _NUMBERS.get(kind, ())
    }
    if numbers.get("attention_factor") == 0:
        del numbers["attention_factor"]
    if partial:
        numbers["partial_rotary_factor"] = model.rope_fraction
    found: dict[str, Any] = {
        "rope_theta": model.rope_theta,
        "rope_parameters": {
            "rope_type": "default" if kind == "none" else kind,
            "rope_theta": model.rope_theta,
            **numbers,
        },
    }
    if kind != "none":
        found["rope_scaling"] = {"rope_type": kind, **numbers}
    return found


def read_rotary(
    described: Described,
    *,
    default_theta: float = 10000.0,
    partial: bool = False,
    sections: Mapping[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Reads both dialects; a value inside a section goes first.

    Args:
      described: The file.
      default_theta: Base of the frequencies where it has none.
      partial: Whether a part of a head may be rotated, as in Phi-3, whose
        original context stands outside of the sections.
      sections: Where they are others than those of most families.
    """
    found: dict[str, Any] = {
        "rope_theta": float(described.get("rope_theta", default_theta))
    }
    if partial:
        found["rope_fraction"] = float(
            described.get("partial_rotary_factor", 1.0)
        )
        original = described.get("original_max_position_embeddings", None)
    else:
        described.only("partial_rotary_factor", 1.0)
    if sections is None:
        sections = {name: described.get(name, {}) for name in _SECTIONS}
    for name, said in sections.items():
        section = typed_section(described, name, said)
        found["rope_theta"] = float(
            section.pop("rope_theta", found["rope_theta"])
        )
        kind = section.pop("rope_type", None) or section.pop("type", "default")
        section.pop("type", None)
        if partial and "partial_rotary_factor" in section:
            found["rope_fraction"] = float(section.pop("partial_rotary_factor"))
        if section.get("partial_rotary_factor") == 1:
            del section["partial_rotary_factor"]
        if partial and kind in _LONGROPE:
            kind = "longrope"
            _complete_longrope(described, section, original)
        # Of yarn, that its ramp begins and ends at whole pairs.
        if kind == "yarn" and not section.pop("truncate", True):
            described.problem(f"{name}.truncate=false is not there yet")
        if kind != "default":
            found["rope_scaling"] = kind
            found.update(_numbers(described, name, kind, section))
        if section:
            described.problem(f"{name}.{', '.join(section)} is unknown")
    return found


def typed_section(described: Described, name: str, said: Any) -> dict[str, Any]:
    """Copies a section without what is of another type than it must be."""
    if not isinstance(said, dict):
        described.problem(f"{name}={shown(said)} is no object")
        return {}
    section = {}
    for key, value in said.items():
        if key in _KINDS and value is not None:
            wanted, holds = _KINDS[key]
            if not holds(value):
                described.problem(f"{name}.{key}={shown(value)} is no {wanted}")
                continue
        section[key] = value
    return section


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_number, value))


def _is_kind(value: Any) -> bool:
    return isinstance(value, str)


# What keys of a section hold, and how that is told.
_KINDS = {
    **dict.fromkeys(
        (
            "rope_theta",
            "partial_rotary_factor",
            "original_max_position_embeddings",
            *(name for kind in _NUMBERS.values() for name, *_ in kind),
        ),
        ("number", is_number),
    ),
    **dict.fromkeys(
        ("short_factor", "long_factor"), ("list of numbers", _is_list)
    ),
    **dict.fromkeys(("rope_type", "type"), ("name", _is_kind)),
}


def _complete_longrope(
    described: Described, section: dict[str, Any], original: int | None
) -> None:
    """Adds what follows from the contexts, as Phi-3 leaves it out."""
    context = described.get("max_position_embeddings")
    said = section.get("original_max_position_embeddings")
    original = original or said or context
    section["original_max_position_embeddings"] = original
    if section.get("factor") is None and context and original:
        section["factor"] = max(1.0, context / original)


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
        if ours == "rope_original_context":
            found[ours] = int(value)
        elif ours.endswith("_factors"):
            found[ours] = [float(number) for number in value]
        else:
            found[ours] = float(value)
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
    elif model.rope_scaling == "longrope":
        _add_longrope(writer, model)
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


def _add_longrope(writer: Any, model: ModelSection) -> None:
    """Adds both lists; llama.cpp takes one or the other by its context."""
    factor, original = model.rope_factor, model.rope_original_context
    sharpened = model.rope_attention_factor or math.sqrt(
        1 + math.log(factor) / math.log(original)
    )
    writer.add_rope_scaling_orig_ctx_len(original)
    writer.add_rope_scaling_attn_factors(sharpened)
    for name, values in (
        ("long", model.rope_long_factors),
        ("short", model.rope_short_factors),
    ):
        writer.add_tensor(
            f"rope_factors_{name}.weight", np.array(values, np.float32)
        )


def _frequencies(model: ModelSection) -> np.ndarray:
    from eisbach.core_config import rope_options

    return np.array(
        rope_options(model).frequencies(model.head_dim, model.context)
    )
