"""Begins with a model of others: `model.from`."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.config.rules import show
from eisbach.data.template_files import default_template
from eisbach.data.tokenizer import BYTES
from eisbach.export.reading import read_described
from eisbach.export.source import folder_tokenizer

if TYPE_CHECKING:
    from eisbach.config import Config
    from eisbach.config.model import ModelSection

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
    said = {
        name: getattr(found, name)
        for name in sorted(found.model_fields_set - {"from"})
    }
    context = config.model.context
    shorter = {"context"} if context < said.get("context", 0) else set()
    config = take_over(config, "model", said, folder, shorter)
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


def take_over(
    config: Config,
    section: str,
    said: dict[str, Any],
    folder: Path,
    free: Container[str],
) -> Config:
    """Takes over what a folder says of a section.

    Args:
      config: Of the run.
      section: Its name.
      said: Key of the section to value.
      folder: That says so.
      free: Keys of which the configuration may give another value.

    Raises:
      ValueError: The configuration gives another value of another key.
    """
    wrong = []
    for name, value in said.items():
        key = f"{section}.{name}"
        own = getattr(getattr(config, section), name)
        origin = config.origin(key)
        if _is_given(origin) and own not in (value, "auto"):
            if name in free:
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
    return config


def _is_given(origin: str) -> bool:
    return origin != "default" and not origin.startswith("derived")
