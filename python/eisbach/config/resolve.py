"""Replaces each `auto` that follows from the configuration alone.

What depends on the machine or on the number of ranks (device, threads,
compute type, data-parallel size, layers of each stage) is decided by the
core when a run starts.
"""

from __future__ import annotations

import os

from eisbach.arguments import takes
from eisbach.config.root import Config

_OF_FAMILY = (
    "norm_placement",
    "norm_plus_one",
    "activation",
    "scale_embedding",
    "qkv_bias",
    "output_bias",
    "mlp_bias",
    "qk_norm",
    "no_rope_every",
    "window",
    "window_from",
    "window_full_every",
    "window_rope_theta",
    "attention_scale",
    "attention_cap",
    "final_cap",
)


@takes(config=Config, file=(str, os.PathLike), vocab=int)
def resolve(
    config: Config,
    *,
    file: str | os.PathLike[str] | None = None,
    vocab: int | None = None,
) -> Config:
    """Returns a copy in which sizes and names are no longer `auto`.

    Args:
      config: As loaded.
      file: The file that it was loaded from; names the run.
      vocab: Size of the tokenizer's vocabulary; None leaves `model.vocab`.
    """
    from eisbach import _C

    model = config.model
    family = _C.Architecture(model.family)
    if config.run.name == "auto":
        name = os.path.splitext(os.path.basename(file))[0] if file else "run"
        config = config.derive("run.name", name, "name of the file")
    if model.kv_heads == "auto":
        config = config.derive("model.kv_heads", model.heads, "model.heads")
    # Heads that do not divide are the core's to refuse.
    if model.head_dim == "auto" and model.hidden % model.heads == 0:
        width = model.hidden // model.heads
        formula = "model.hidden / model.heads"
        config = config.derive("model.head_dim", width, formula)
    for name in _OF_FAMILY:
        if getattr(model, name) == "auto":
            value = getattr(family, name)
            config = config.derive(f"model.{name}", value, "model.family")
    if model.ffn_hidden == "auto":
        if family.gated:
            width = -(-(8 * model.hidden) // (3 * 64)) * 64
            formula = "8/3 x model.hidden, up to a multiple of 64"
        else:
            width, formula = 4 * model.hidden, "4 x model.hidden"
        config = config.derive("model.ffn_hidden", width, formula)
    adapter = config.adapter
    if adapter.rank and adapter.alpha == "auto":
        alpha = 2.0 * adapter.rank
        config = config.derive("adapter.alpha", alpha, "2 x adapter.rank")
    if config.train.objective == "dpo" and config.dpo.reference == "auto":
        if not adapter.rank:
            name, reason = "start", "adapter.rank: 0"
        elif adapter.modules_to_save:
            name, reason = "start", "adapter.modules_to_save"
        else:
            name, reason = "base", "adapter.rank"
        config = config.derive("dpo.reference", name, reason)
    if model.vocab == "auto" and vocab is not None:
        reason = f"data.tokenizer: {config.data.tokenizer}"
        config = config.derive("model.vocab", vocab, reason)
    return config
