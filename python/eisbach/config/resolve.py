"""Replaces each `auto` that follows from the configuration alone.

What depends on the machine or on the number of ranks (device, threads,
compute type, data-parallel size, layers of each stage) is decided by the
core when a run starts.
"""

from __future__ import annotations

import os

from eisbach.arguments import takes
from eisbach.config.root import Config


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
    model = config.model
    if config.run.name == "auto":
        name = os.path.splitext(os.path.basename(file))[0] if file else "run"
        config = config.derive("run.name", name, "name of the file")
    if model.kv_heads == "auto":
        config = config.derive("model.kv_heads", model.heads, "model.heads")
    if model.ffn_hidden == "auto":
        if model.family == "gpt":
            width, formula = 4 * model.hidden, "4 x model.hidden"
        else:
            width = -(-(8 * model.hidden) // (3 * 64)) * 64
            formula = "8/3 x model.hidden, up to a multiple of 64"
        config = config.derive("model.ffn_hidden", width, formula)
    if model.vocab == "auto" and vocab is not None:
        reason = f"data.tokenizer: {config.data.tokenizer}"
        config = config.derive("model.vocab", vocab, reason)
    return config
