"""Where each weight of a model lies in a folder of others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eisbach.export.families import FAMILIES
from eisbach.export.tensors import Tensors

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.config.model import ModelSection

HEAD = "lm_head.weight"


def find_places(
    folder: Path, model: ModelSection
) -> dict[str, _C.ForeignTensor]:
    """Finds every tensor by its logical name; reads no values of ours.

    Raises:
      ValueError: A tensor is missing, or one is there that the model has not.
      OSError: A file is missing.
    """
    from eisbach import _C

    family = FAMILIES[model.family]
    tensors = Tensors(folder)
    stored = dict(family.stored(model, tensors))
    places = {
        own: _C.ForeignTensor(
            tensors.file_of(place.name),
            place.name,
            first_row=place.first_row,
            transposed=place.transposed,
        )
        for own, place in stored.items()
    }
    check_tied_head(tensors, model, stored["embedding.token.weight"].name)
    tensors.finish(family.WITHOUT_EFFECT)
    return places


def check_tied_head(tensors: Tensors, model: ModelSection, table: str) -> None:
    """Takes a head beside a tied embedding only where it is that.

    Raises:
      ValueError: They differ.
    """
    if not model.tie_embeddings or HEAD not in tensors:
        return
    if not np.array_equal(tensors[HEAD], tensors[table]):
        raise ValueError(
            f"{tensors.path}: {HEAD} is not the token embedding, and "
            "config.json has tie_word_embeddings=true"
        )
