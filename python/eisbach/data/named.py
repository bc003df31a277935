"""What `data.train` and `data.validation` name, and whether it is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.data.inputs import find
from eisbach.data.new_tokens import NewTokens
from eisbach.data.token_files import SUFFIXES
from eisbach.data.tokenizer import BYTES

if TYPE_CHECKING:
    from eisbach.config import Config
    from eisbach.config.data import SourceSection
    from eisbach.data.tokenizer import Tokenizer

# Prefix of a token file, or path of a text, and weight.
Named = tuple[str, float]
KEYS = ("train", "validation")


def named(config: Config, key: str) -> list[Named]:
    """Returns the paths of `data.train` or `data.validation`.

    Raises:
      ValueError: One is named twice.
    """
    value: str | list[SourceSection] = getattr(config.data, key)
    if isinstance(value, str):
        return [] if value in ("auto", "none") else [(value, 1.0)]
    places: dict[str, str] = {}
    for source in value:
        place = os.path.realpath(source.path)
        if place in places:
            raise ValueError(
                f"{source.path} comes twice, also as {places[place]}; give it "
                f"once, with the sum of the weights (data.{key})"
            )
        places[place] = source.path
    return [(source.path, source.weight) for source in value]


def token_files(config: Config, key: str) -> list[Named]:
    """Returns what `data.train` or `data.validation` names but texts.

    Raises:
      ValueError: One is named twice.
    """
    return [found for found in named(config, key) if not is_text(found[0])]


def is_text(path: str) -> bool:
    """Whether a path is a text or a folder of texts, not a prefix."""
    return os.path.exists(path) and not os.path.exists(f"{path}.idx")


def text_error(error: Exception, key: str) -> ValueError:
    """Returns what says that a text cannot be prepared as it is."""
    return ValueError(
        f"{error}; `eisbach data prepare` has options for such texts "
        f"(data.{key})"
    )


def check_named(config: Config, tokenizer: Tokenizer) -> None:
    """Checks what a run reads, as far as that can be told without reading it.

    Args:
      config: The configuration.
      tokenizer: Of the run.

    Raises:
      ValueError: A path is not there, there is nothing to train on or, for
        `auto`, to validate on, or the model does not know all tokens.
    """
    for key in KEYS:
        for path, _ in named(config, key):
            _check_path(path, key)
    if config.data.train != "auto" and not named(config, "train"):
        raise ValueError("there is nothing to train on (data.train)")
    if config.data.validation == "auto":
        _check_held_out(config)
    _check_vocab(config, tokenizer)


def _check_path(path: str, key: str) -> None:
    if is_text(path):
        try:
            find([Path(path)])
        except ValueError as error:
            raise text_error(error, key) from None
        return
    parts = (f"{path}.idx", f"{path}.bin")
    missing = [part for part in parts if not os.path.exists(part)]
    if len(missing) == 1:
        raise ValueError(
            f"data.{key}: {path}: there is no {missing[0]}; a token file is "
            "a `.bin` and an `.idx`"
        )
    if missing:
        near = _near(path)
        raise ValueError(
            f"data.{key}: {path}: no such file, folder or prefix"
            + (f"; closest: {near}" if near else "")
        )


def _near(path: str) -> str:
    """Returns the text or prefix beside a path that is most like it."""
    from eisbach.config.problems import closest

    folder, name = os.path.split(path)
    try:
        there = os.listdir(folder or ".")
    except OSError:
        return ""
    names = set(there)
    for index in there:
        prefix = index.removesuffix(".idx")
        if prefix != index:
            names -= {f"{prefix}{part}" for part in SUFFIXES}
            names.add(prefix)
    near = closest(name, sorted(names))
    return os.path.join(folder, near) if near else ""


def _check_held_out(config: Config) -> None:
    for path, _ in token_files(config, "train"):
        raise ValueError(
            f"auto is what was held out from data.train, but {path} was "
            "prepared by itself: give a prefix, as in "
            f"{path}-validation, or `none` for no validation "
            "(data.validation)"
        )


def _check_vocab(config: Config, tokenizer: Tokenizer) -> None:
    """Bytes may stand for token files whose tokenizer nobody knows."""
    vocab, first = config.model.vocab, config.model.first_added_token
    added = len(NewTokens.of(config.model))
    if added and first not in ("auto", tokenizer.vocab - added):
        raise ValueError(
            f"model.first_added_token={first}: the tokens of data.tokenizer="
            f"{config.data.tokenizer} end before {tokenizer.vocab - added}: "
            f"take {tokenizer.vocab - added}, or auto"
        )
    prepares = config.data.train == "auto" or any(
        is_text(path) for key in KEYS for path, _ in named(config, key)
    )
    if vocab == "auto" or (tokenizer.name == BYTES and not prepares):
        return
    if tokenizer.vocab > vocab:
        raise ValueError(
            f"model.vocab={vocab} is less than the vocabulary of "
            f"{tokenizer.vocab} of data.tokenizer={config.data.tokenizer}: "
            f"take model.vocab=auto, or at least {tokenizer.vocab}"
        )
