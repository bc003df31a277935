"""Fills an engine with the weights of others: `model.from`, `adapter.from`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from eisbach.data.prepare import cache_folder
from eisbach.export.adapter_start import adapter_folder, find_adapter
from eisbach.export.places import find_places
from eisbach.export.source import fits_folder
from eisbach.export.start import folder_of
from eisbach.export.tensors import Tensors
from eisbach.run.agreement import agreed
from eisbach.run.output import warn

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.config import Config
    from eisbach.data.tokenizer import Tokenizer


def load_weights(
    engine: _C.Engine,
    config: Config,
    tokenizer: Tokenizer | None,
    world: _C.World,
    *,
    base_alone: bool = False,
) -> None:
    """Fills an engine from `model.from`, if there is one; collective.

    Each rank reads its own part.

    Args:
      engine: Of this rank.
      config: That names the folders.
      tokenizer: Of the run; None where nobody compares it with the folder's.
      world: All ranks.
      base_alone: Leaves adapters as they are: a checkpoint has them.

    Raises:
      ValueError: A file is damaged, or not of this model.
    """
    folder = folder_of(config)
    if folder is None:
        return
    with agreed(world):
        places = find_places(Tensors(folder), config.model, config.adapter)
        adapter = None if base_alone else adapter_folder(config)
        if adapter:
            places |= find_adapter(adapter, config.model, config.adapter)
        fits = tokenizer is None or fits_folder(tokenizer, folder, config.model)
    engine.load_foreign(places)
    if world.rank == 0 and not fits:
        warn(
            f"{folder}: its tokenizer is not the one of this run, "
            f"data.tokenizer={config.data.tokenizer}: the weights know other "
            "tokens"
        )


def base_content(config: Config, world: _C.World) -> list[str]:
    """Returns what the files of `model.from` hold; collective.

    Rank 0 reads them through, where the cache does not know them.

    Returns:
      By file; equal for equal bytes alone, wherever they lie.
    """
    from eisbach import _C

    told = ""
    if world.rank == 0:
        folder = folder_of(config)
        files = Tensors(folder).files if folder else []
        cache = cache_folder() / "content"
        told = json.dumps([_C.file_content(str(f), cache) for f in files])
    return json.loads(world.broadcast(told))
