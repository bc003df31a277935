"""Reads a model's folder: an export, or one that others have made."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.arguments import takes
from eisbach.export.described import Described
from eisbach.export.families import BY_MODEL_TYPE, read_sizes
from eisbach.export.places import find_stored
from eisbach.export.refused import why_refused
from eisbach.export.tensors import Tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.config.model import ModelSection


@dataclass(frozen=True)
class ModelFolder:
    """What a folder holds.

    Attributes:
      model: Sizes, with no `auto`.
      parameters: Logical name to whole array, of any float type.
      ends: Token ids that end a document.
    """

    model: ModelSection
    parameters: dict[str, NDArray[Any]]
    ends: tuple[int, ...]


@takes(folder=(str, os.PathLike))
def read_model(folder: str | os.PathLike[str]) -> ModelFolder:
    """Reads `config.json` and the weights.

    Nothing is left out: a key that may change what the model computes and is
    not understood is an error, and so is a tensor that the model has not.

    Raises:
      ValueError: A file is damaged, or describes a model that cannot be
        computed here; it names file and key or tensor.
      OSError: A file is missing.
    """
    folder = Path(folder)
    model, _ = read_described(folder)
    tensors = Tensors(folder)
    tensors.check_finite()
    parameters = {
        own: place.take(tensors[place.name])
        for own, place in find_stored(tensors, model).items()
    }
    return ModelFolder(model, parameters, read_ends(folder))


def read_ends(folder: Path) -> tuple[int, ...]:
    """Reads which token ids end a document; none where nothing says it.

    Raises:
      ValueError: A file is damaged.
      OSError: `config.json` is missing.
    """
    ends = Described(folder / "config.json").ids("eos_token_id")
    said = folder / "generation_config.json"
    if said.is_file():  # may name more of them
        ends = Described(said).ids("eos_token_id") or ends
    return ends


def read_described(folder: Path) -> tuple[ModelSection, tuple[int, ...]]:
    """Reads `config.json`: the model, what ends a document.

    Raises:
      ValueError: It describes a model that cannot be computed here.
      OSError: It is missing.
    """
    described = Described(folder / "config.json")
    ends = described.ids("eos_token_id")
    kind = described.get("model_type", None)
    if not isinstance(kind, str) or kind not in BY_MODEL_TYPE:
        if why := why_refused(str(kind), described):
            raise ValueError(f"{described.path}: model_type={kind!r}: {why}")
        raise ValueError(
            f"{described.path}: model_type={kind!r} is none of "
            f"{', '.join(sorted(BY_MODEL_TYPE))}"
        )
    return read_sizes(BY_MODEL_TYPE[kind], described), ends
