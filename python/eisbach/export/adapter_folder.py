"""The folder that PEFT loads with `PeftModel.from_pretrained`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.export.adapter_names import adapter_places, head_copy
from eisbach.export.adapter_start import WEIGHTS
from eisbach.export.card import card
from eisbach.export.carried import Carried, read_carried, write_carried
from eisbach.export.folder import export_model, files_along
from eisbach.export.peft_config import FILE, peft_config
from eisbach.files import make_folder, write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.config import Config
    from eisbach.config.adapter import AdapterSection
    from eisbach.config.model import ModelSection
    from eisbach.data.tokenizer import Tokenizer
    from eisbach.run.folder import RunFolder


def export_run(
    run: RunFolder,
    config: Config,
    parameters: dict[str, NDArray[Any]],
    tokenizer: Tokenizer | None,
) -> None:
    """Writes what a run has trained: `model/`, or `adapter/`.

    Args:
      run: Its folder.
      config: Of the run.
      parameters: Logical name to whole array.
      tokenizer: Of the run.
    """
    carried = read_carried(run.base, tokenizer=run.tokenizer)
    page = card(run)
    if config.adapter.rank:
        export_adapter(
            run.adapter,
            config,
            parameters,
            tokenizer,
            carried=carried,
            page=page,
        )
        return
    export_model(
        run.model,
        config.model,
        parameters,
        tokenizer,
        dtype=carried.dtype or "f32",
        carried=carried,
        page=page,
    )


def export_adapter(
    folder: str | os.PathLike[str],
    config: Config,
    parameters: dict[str, NDArray[Any]],
    tokenizer: Tokenizer | None,
    *,
    carried: Carried | None = None,
    page: str | None = None,
) -> None:
    """Writes adapters in f32, `adapter_config.json` and the tokenizer.

    Args:
      folder: Made if it does not exist; files in it are replaced.
      config: Of the run; names the base.
      parameters: Logical name to whole array, of the adapters at least.
      tokenizer: Of the run; None where tokens have no known text.
      carried: Files of the base that go along.
      page: About the adapters, in Markdown.
    """
    from eisbach import _C

    folder = Path(folder)
    make_folder(folder)
    model, adapter = config.model, config.adapter
    texts = files_along(tokenizer, model, carried or Carried(), page)
    base = os.path.abspath(getattr(model, "from"))
    described = json.dumps(peft_config(model, adapter, base), indent=2) + "\n"
    _C.write_safetensors(
        str(folder / WEIGHTS),
        _to_theirs(parameters, model, adapter),
        {"format": "pt"},
    )
    write_carried(folder, texts)
    write_atomically(folder / FILE, described)


def _to_theirs(
    ours: dict[str, NDArray[Any]], model: ModelSection, adapter: AdapterSection
) -> dict[str, NDArray[Any]]:
    """Renames the parts; those that they have as one are stacked."""
    parts: dict[str, list[NDArray[Any]]] = {}
    for own, place in adapter_places(model, adapter):
        parts.setdefault(place.name, []).append(ours[own])
    theirs = {
        name: rows[0] if len(rows) == 1 else np.concatenate(rows)
        for name, rows in parts.items()
    }
    if copy := head_copy(model, adapter):
        theirs[copy] = ours["embedding.token.weight"]
    return theirs
