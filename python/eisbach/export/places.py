"""Where each weight of a model lies in a folder of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.data.new_tokens import token_ids
from eisbach.export.adapter_names import token_modules
from eisbach.export.families import FAMILIES

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.config.adapter import AdapterSection
    from eisbach.config.model import ModelSection
    from eisbach.export.stored import Stored
    from eisbach.export.tensors import Tensors

_HEAD = "lm_head.weight"
_TABLES = ("embedding.token.weight", "head.weight")


def find_stored(tensors: Tensors, model: ModelSection) -> dict[str, Stored]:
    """Finds every tensor by its logical name; all of the files' are used.

    Raises:
      ValueError: A tensor is missing, one is there that the model has not, or
        a head beside a tied embedding is not that.
    """
    family = FAMILIES[model.family]
    stored = dict(family.stored(model, tensors))
    for place in stored.values():
        tensors.file_of(place.name)
    if model.tie_embeddings and _HEAD in tensors:
        table = stored["embedding.token.weight"].name
        if not np.array_equal(tensors[_HEAD], tensors[table]):
            raise ValueError(
                f"{tensors.path}: {_HEAD} is not the token embedding, and "
                "config.json has tie_word_embeddings=true"
            )
    _check_constants(tensors, family, model)
    tensors.finish(family.WITHOUT_EFFECT)
    return stored


def _check_constants(
    tensors: Tensors, family: Any, model: ModelSection
) -> None:
    """Refuses numbers of the files that are not those of the core."""
    for i in range(model.layers):
        for part, expected in getattr(family, "constants", {}).items():
            name = f"{family.LAYER}.{i}.{part}"
            if name not in tensors:
                continue
            value = float(np.asarray(tensors[name], np.float64).reshape(-1)[0])
            if abs(value - expected) > 0.01 * abs(expected):  # of bf16
                raise ValueError(
                    f"{tensors.path}: {name} is {value}, which is not there "
                    f"yet; it may be {expected}"
                )


def find_places(
    tensors: Tensors,
    model: ModelSection,
    adapter: AdapterSection | None = None,
) -> dict[str, _C.ForeignTensor]:
    """Says to the core where every tensor lies, by its logical name.

    Rows of new tokens are the mean of those that are known.

    Args:
      tensors: Of the folder.
      model: That was completed.
      adapter: Of which the trained rows of tables begin as the tables have
        them.

    Raises:
      ValueError: As `find_stored`.
    """
    from eisbach import _C

    stored = find_stored(tensors, model)
    found = {}
    for own, place in stored.items():
        found[own] = _C.ForeignTensor(
            tensors.file_of(place.name),
            place.name,
            first_row=place.first_row,
            transposed=place.transposed,
            **(_new_rows(tensors, place.name, model) if own in _TABLES else {}),
        )
    for own in token_modules(model, adapter) if adapter else ():
        name = stored[own.replace(".rows.", ".")].name
        found[own] = _C.ForeignTensor(
            tensors.file_of(name),
            name,
            rows=adapter.tokens,
            **_new_rows(tensors, name, model),
        )
    return found


def _new_rows(
    tensors: Tensors, name: str, model: ModelSection
) -> dict[str, int]:
    """Says which rows of a table are new."""
    if new := token_ids(model):
        return {"known_rows": new[0], "new_rows": len(new)}
    known = tensors[name].shape[0]
    if model.vocab <= known:
        return {}
    # Adapters of a folder know more tokens.
    return {"known_rows": known, "new_rows": model.vocab - known}
