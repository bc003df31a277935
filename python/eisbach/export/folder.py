"""The folder that `transformers` loads with `from_pretrained`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.data.tokenizer import BYTES, Tokenizer
from eisbach.export import gpt2, llama
from eisbach.run.folder import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.config import Config

_FAMILIES = {"gpt": gpt2, "llama": llama}


def export_model(
    folder: Path,
    config: Config,
    parameters: dict[str, NDArray[Any]],
    tokenizer: Tokenizer,
) -> None:
    """Writes `model.safetensors`, `config.json` and `tokenizer.json`.

    Args:
      folder: Made if it does not exist; files in it are replaced.
      config: With no `auto` in its model section.
      parameters: Logical name to whole, unpadded array.
      tokenizer: Of the run; bytes have no file.
    """
    from eisbach import _C

    family = _FAMILIES[config.model.family]
    folder.mkdir(parents=True, exist_ok=True)
    end = tokenizer.end_of_document
    described = {
        **family.config(config.model),
        "bos_token_id": end,
        "eos_token_id": end,
        "dtype": "float32",
    }
    _C.write_safetensors(
        str(folder / "model.safetensors"),
        family.to_theirs(parameters, config.model),
        {"format": "pt"},  # transformers asks for it
    )
    if tokenizer.name != BYTES:
        shutil.copyfile(tokenizer.name, folder / "tokenizer.json")
    write_atomically(
        folder / "config.json", json.dumps(described, indent=2) + "\n"
    )


def import_parameters(folder: Path, config: Config) -> dict[str, NDArray[Any]]:
    """Reads an export back as logical parameters.

    Raises:
      ValueError: `model.safetensors` is missing or damaged, or is of another
        model than `config` describes.
    """
    from eisbach import _C

    path = folder / "model.safetensors"
    theirs = _C.read_safetensors(str(path))
    family = _FAMILIES[config.model.family]
    try:
        return dict(family.to_ours(theirs, config.model))
    except KeyError as error:
        raise ValueError(
            f"{path}: has no {error}, which a {config.model.family} of "
            f"{config.model.layers} layers has"
        ) from None
