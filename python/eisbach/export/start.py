"""Begins with a model of others: `model.from`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.config.rules import show
from eisbach.data.template_files import default_template
from eisbach.data.tokenizer import BYTES
from eisbach.export.places import find_places
from eisbach.export.reading import read_described
from eisbach.export.source import folder_tokenizer
from eisbach.export.tensors import Tensors
from eisbach.run.agreement import agreed
from eisbach.run.output import warn

if TYPE_CHECKING:
    from eisbach import _C
    from eisbach.config import Config
    from eisbach.config.model import ModelSection
    from eisbach.data.tokenizer import Tokenizer

NONE = "none"
_TOKENIZER = "tokenizer.json"


def folder_of(config: Config) -> Path | None:
    """Returns the folder that the weights are from; None where there is none.

    Raises:
      ValueError: There is no such folder.
    """
    name = getattr(config.model, "from")
    if name == NONE:
        return None
    folder = Path(name)
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"model.from={name}: no folder with a config.json; it is what "
            "`save_pretrained` of transformers writes"
        )
    return folder


def with_start(config: Config) -> Config:
    """Takes over what the folder `model.from` says; all of it where none is.

    Raises:
      ValueError: There is no such folder, its model cannot be computed here,
        or the configuration gives another value.
    """
    folder = folder_of(config)
    if folder is None:
        return config
    return with_model_of(config, folder, read_described(folder)[0])


def with_model_of(config: Config, folder: Path, found: ModelSection) -> Config:
    """Takes over what a folder says of its model, and its tokenizer.

    A shorter context may be given: rows of that length are trained on.

    Raises:
      ValueError: The configuration gives another value.
    """
    wrong = []
    for name in sorted(found.model_fields_set - {"from"}):
        key, value = f"model.{name}", getattr(found, name)
        own, origin = getattr(config.model, name), config.origin(key)
        if _is_given(origin) and own not in (value, "auto"):
            if name == "context" and own < value:
                continue
            wrong.append(
                f"{origin}: {key}={show(own)}, and {folder} has {show(value)}"
            )
        elif own != value:
            config = config.derive(key, value, str(folder))
    if wrong:
        raise ValueError(
            "; ".join(wrong) + "; leave out what the folder says itself"
        )
    # Given, or taken over before: a configuration is completed several times.
    if config.origin("data.tokenizer") != "default":
        return config
    own = folder_tokenizer(folder, config.model.vocab)
    if own is None:
        return config
    is_bytes = own.digest == BYTES
    # Bytes have no folder in which their template could be found.
    if is_bytes and config.data.template == "auto" and default_template(own):
        config = config.derive("data.template", str(folder), str(folder))
    name = BYTES if is_bytes else str(folder / _TOKENIZER)
    return config.derive("data.tokenizer", name, str(folder))


def _is_given(origin: str) -> bool:
    return origin != "default" and not origin.startswith("derived")


def load_weights(
    engine: _C.Engine, config: Config, tokenizer: Tokenizer, world: _C.World
) -> None:
    """Fills an engine from `model.from`, if there is one; collective.

    Each rank reads its own part.

    Raises:
      ValueError: A file is damaged, or not of this model.
    """
    folder = folder_of(config)
    if folder is None:
        return
    with agreed(world):
        places = find_places(Tensors(folder), config.model)
        own = folder_tokenizer(folder, config.model.vocab)
    engine.load_foreign(places)
    if world.rank == 0 and own is not None and own.digest != tokenizer.digest:
        warn(
            f"{folder}: its tokenizer is not the one of this run, "
            f"data.tokenizer={config.data.tokenizer}: the weights know other "
            "tokens"
        )
