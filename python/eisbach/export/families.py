"""The families of models, by our name and by that of `config.json`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.export import gpt2
from eisbach.export.apertus import APERTUS
from eisbach.export.described import Described
from eisbach.export.gemma import GEMMA
from eisbach.export.llama_like import LLAMA_LIKE
from eisbach.export.olmo2 import OLMO2
from eisbach.export.phi3 import PHI3
from eisbach.export.windows import layers_with_window

if TYPE_CHECKING:
    from eisbach.config.model import ModelSection

FAMILIES: dict[str, Any] = {
    "gpt": gpt2,
    **{
        family.family: family
        for family in (*LLAMA_LIKE, PHI3, OLMO2, APERTUS, *GEMMA)
    },
}
BY_MODEL_TYPE = {family.MODEL_TYPE: family for family in FAMILIES.values()}
# What the mathematics depend on and not every family can say.
_CHOICES = (
    "head_dim",
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
    "rope_fraction",
    "rope_scaling",
)


def describe(model: ModelSection) -> dict[str, Any]:
    """Returns what `config.json` says of a model, with no `auto`.

    Raises:
      ValueError: The family's `config.json` cannot say a choice of it.
    """
    family = FAMILIES[model.family]
    said = family.config(model)
    again = read_sizes(family, Described(Path("config.json"), said))
    same_windows = layers_with_window(model) == layers_with_window(again)
    for name in _CHOICES:
        if same_windows and name in ("window_from", "window_full_every"):
            continue  # others say the layers, and may say them otherwise
        value, read = getattr(model, name), getattr(again, name)
        if value != read:
            raise ValueError(
                f"model.{name}={value} cannot be said in a folder of "
                f"{said['architectures'][0]} (model.family={model.family}), "
                f"which has {read}"
            )
    return said


def read_sizes(family: Any, described: Described) -> ModelSection:
    """Reads the section `model`, with no `auto`, from a `config.json`.

    Raises:
      ValueError: A value of it is none.
    """
    from eisbach.config import ConfigError, make_config, resolve

    sizes = family.sizes(described)
    described.finish()
    try:
        return resolve(make_config(model=sizes)).model
    except ConfigError as error:
        raise ValueError(f"{described.path}: {error}") from None
