"""Begins with a model of others: `model.from`."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.config.rules import show
from eisbach.data.new_tokens import NewTokens, token_ids
from eisbach.data.template_files import default_template
from eisbach.data.tokenizer import BYTES, load_tokenizer
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
            f"`save_pretrained` of transformers writes{_instead(folder)}"
        )
    return folder


def _instead(folder: Path) -> str:
    """What is meant, perhaps, by a folder that is no model's."""
    if (folder / "model" / "config.json").is_file():
        return f"; nearest that works: {folder / 'model'}"
    for place in (folder, folder / "adapter"):
        if (place / "adapter_config.json").is_file():
            return (
                f"; {place} holds adapters: name their model here, and them "
                "by adapter.from"
            )
    return ""


def with_start(config: Config) -> Config:
    """Takes over what the folder `model.from` says; all of it where none is.

    Raises:
      ValueError: There is no such folder, its model cannot be computed here,
        or the configuration gives another value.
    """
    folder = folder_of(config)
    if folder is None:
        return with_new_tokens(config)
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
    config = _with_tokenizer(config, folder, said["vocab"])
    config = with_new_tokens(config)
    said["vocab"] = max(said["vocab"], _rows_for_tokens(config))
    context = config.model.context
    shorter = {"context"} if context < said.get("context", 0) else set()
    return take_over(config, "model", said, folder, shorter)


def with_new_tokens(config: Config) -> Config:
    """Says which id the first of the new tokens has, if there are any.

    Raises:
      ValueError: The tokenizer cannot have them.
    """
    model = config.model
    added = NewTokens.of(model)
    if not added:
        if model.first_added_token != "auto":
            raise ValueError(
                f"model.first_added_token={model.first_added_token}: no token "
                "is added (model.add_tokens): leave it out"
            )
        return config
    if model.first_added_token != "auto":
        return config
    tokenizer = load_tokenizer(config.data.tokenizer, added=added)
    reason = f"data.tokenizer: {config.data.tokenizer}"
    return config.derive(
        "model.first_added_token", tokenizer.first_added, reason
    )


def _rows_for_tokens(config: Config) -> int:
    """Returns how many rows tables need for new tokens.

    Those are a run's, and those that adapters of a folder have rows of.
    """
    ids = token_ids(config.model)
    adapter = config.adapter
    if getattr(adapter, "from") != NONE and adapter.tokens != "auto":
        ids += adapter.tokens
    return max(ids, default=-1) + 1


def _with_tokenizer(config: Config, folder: Path, vocab: int) -> Config:
    """Takes over a folder's tokenizer, unless the configuration names one."""
    # Given, or taken over before: a configuration is completed several times.
    if config.origin("data.tokenizer") != "default":
        return config
    own = folder_tokenizer(folder, vocab)
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
