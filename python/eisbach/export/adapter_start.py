"""Begins with adapters: new ones, or those of a folder (`adapter.from`)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.config import ConfigError, make_config
from eisbach.config.rules import show
from eisbach.data.new_tokens import token_ids
from eisbach.export.adapter_names import PREFIX, adapter_places, head_copy
from eisbach.export.families import FAMILIES
from eisbach.export.peft_config import FILE, read_peft_config
from eisbach.export.start import NONE, take_over
from eisbach.export.tensors import Tensors

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.config import Config
    from eisbach.config.adapter import AdapterSection
    from eisbach.config.model import ModelSection

WEIGHTS = "adapter_model.safetensors"
_NOTHING = re.compile("(?!)")


def adapter_folder(config: Config) -> Path | None:
    """Returns the folder that the adapters are from; None where there is none.

    Raises:
      ValueError: There is no such folder.
    """
    name = getattr(config.adapter, "from")
    if name == NONE:
        return None
    folder = Path(name)
    if not (folder / FILE).is_file():
        raise ValueError(
            f"adapter.from={name}: no folder with an {FILE}; it is what "
            "`save_pretrained` of PEFT writes, and a run in adapter/"
        )
    return folder


def with_adapter(config: Config) -> Config:
    """Takes over what the folder `adapter.from` says of the adapters.

    Raises:
      ValueError: There is no such folder, its adapters are of a kind that is
        not there, the configuration gives another value, or there is no model
        that adapters could change.
    """
    folder = adapter_folder(config)
    if folder is not None:
        found = read_adapter(folder, config.model)
        config = take_over(config, "adapter", found, folder, {"dropout"})
        config = _with_rows_for(config, folder)
    if config.adapter.rank and getattr(config.model, "from") == NONE:
        raise ValueError(
            f"adapter.rank={config.adapter.rank}: adapters change a model that "
            "others have trained, and model.from is none; name its folder "
            "there, such as RUN/model"
        )
    config = _with_tokens(config)
    base = getattr(config.model, "from")
    if config.adapter.rank and not os.path.isabs(base):
        # It is read again wherever the run goes on.
        path = os.path.abspath(base)
        config = config.derive("model.from", path, "the working folder")
    return config


def _with_rows_for(config: Config, folder: Path) -> Config:
    """Makes the tables as large as the adapters of a folder need them.

    Raises:
      ValueError: They have rows of some later tokens and not of all.
    """
    tokens, rows = config.adapter.tokens, config.model.vocab
    later = [] if tokens == "auto" else [i for i in tokens if i >= rows]
    if not later:
        return config
    if later != list(range(rows, rows + len(later))):
        raise ValueError(
            f"{folder / FILE}: trainable_token_indices has {later[-1]}, and "
            f"the model has {rows} rows: those from {rows} on must all be there"
        )
    return config.derive("model.vocab", rows + len(later), str(folder))


def _with_tokens(config: Config) -> Config:
    """Says which rows of the tables are trained.

    Raises:
      ValueError: Those of a new token are not.
    """
    model, adapter = config.model, config.adapter
    tables = {"embedding"} if model.tie_embeddings else {"embedding", "head"}
    new = token_ids(model)
    if not adapter.rank or tables <= set(adapter.modules_to_save):
        return config
    if adapter.tokens == "auto":
        return config.derive("adapter.tokens", new, "model.add_tokens")
    left = sorted(set(new) - set(adapter.tokens))
    if left:
        raise ValueError(
            f"adapter.tokens={show(adapter.tokens)} leaves out {left[0]}, a "
            "new token, which would never be trained (model.add_tokens): take "
            f"{show(sorted({*new, *adapter.tokens}))}, or auto"
        )
    return config


def read_adapter(folder: Path, model: ModelSection) -> dict[str, Any]:
    """Reads `adapter_config.json`: values of the section `adapter`.

    Raises:
      ValueError: Its adapters are of a kind that is not there.
    """
    found = read_peft_config(folder, model)
    family = FAMILIES[model.family]
    if found["targets"] is None:  # a pattern: the tensors say which
        names = set(Tensors(folder, WEIGHTS).types)
        first = f"{PREFIX}{family.LAYER}.0."
        found["targets"] = [
            own.rpartition(".")[2]
            for own, theirs in family.ADAPTED.items()
            if f"{first}{theirs}.lora_A.weight" in names
        ]
    if len(found["targets"]) == len(family.ADAPTED):
        found["targets"] = "all"
    try:
        make_config(adapter=found)
    except ConfigError as error:
        raise ValueError(f"{folder / FILE}: {error}") from None
    return found


def find_adapter(
    folder: Path, model: ModelSection, adapter: AdapterSection
) -> dict[str, _C.ForeignTensor]:
    """Says to the core where each part of the adapters lies.

    Raises:
      ValueError: A tensor is missing, or one is there that the adapters have
        not.
    """
    from eisbach import _C

    tensors = Tensors(folder, WEIGHTS)
    places = dict(adapter_places(model, adapter))
    found = {
        own: _C.ForeignTensor(
            tensors.file_of(place.name), place.name, first_row=place.first_row
        )
        for own, place in places.items()
    }
    copy = head_copy(model, adapter)
    if copy and not np.array_equal(
        tensors[copy], tensors[places["embedding.token.weight"].name]
    ):
        raise ValueError(
            f"{tensors.path}: {copy} is not the token embedding, which the "
            "model has as its head (model.tie_embeddings)"
        )
    tensors.finish(_NOTHING)
    return found
