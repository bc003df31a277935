"""What there is to export: the model of a run, of a checkpoint, of a folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.data.new_tokens import NewTokens
from eisbach.data.rules import stored_tokenizer
from eisbach.data.sources import run_tokenizer
from eisbach.data.tokenizer import BYTES, Tokenizer, load_tokenizer
from eisbach.export.card import card
from eisbach.export.carried import Carried, read_carried
from eisbach.export.reading import read_model
from eisbach.run.folder import RunFolder, has_config
from eisbach.run.place import Place, locate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.config.model import ModelSection


@dataclass(frozen=True)
class Source:
    """A model, and where it is from.

    Attributes:
      model: Sizes, with no `auto`.
      parameters: Logical name to whole array.
      tokenizer: None where tokens have no known text.
      ends: Token ids that end a text; None for those of the tokenizer.
      path: Of the folder that was read.
      step: Of the checkpoint; None for a model that is exported already.
      named: Whether it is the one that was asked for, not just the newest.
      carried: Files that go along with it.
      run: Folder of the run that made it; None where none is known.
      home: Folder that an export goes to if it is not told where: that of the
        run, or the one beside which the checkpoint lies.
    """

    model: ModelSection
    parameters: dict[str, NDArray[Any]]
    tokenizer: Tokenizer | None
    ends: tuple[int, ...] | None
    path: Path
    step: int | None
    named: bool
    home: Path
    carried: Carried
    run: Path | None

    def page(self) -> str | None:
        """Returns a page about it in Markdown; None where no run is known.

        Raises:
          ValueError: The configuration of the run is damaged.
        """
        return card(RunFolder(self.run), self.step) if self.run else None


def model_folder(path: Path) -> Path | None:
    """Returns `path/model`, or `path` where that is a model's folder itself."""
    for folder in (path / "model", path):
        if (folder / "config.json").is_file():
            return folder
    return None


def folder_tokenizer(
    folder: Path, vocab: int, added: NewTokens | None = None
) -> Tokenizer | None:
    """Returns the tokenizer of a model's folder; None if it has none.

    Args:
      folder: Of the model.
      vocab: Of the model.
      added: Tokens that it gets besides.

    Raises:
      ValueError: A file of it is damaged, or it cannot have the tokens.
    """
    stored = stored_tokenizer(folder, added)
    if stored:
        return stored
    file = folder / "tokenizer.json"
    if file.is_file():
        return load_tokenizer(str(file), added=added)
    return load_tokenizer(BYTES) if vocab == 256 else None


def fits_folder(
    tokenizer: Tokenizer, folder: Path, model: ModelSection
) -> bool:
    """Whether a tokenizer is that of a folder, with a run's new tokens.

    So is any where the folder has none.

    Args:
      tokenizer: Of a run.
      folder: That its weights are from.
      model: That was completed.

    Raises:
      ValueError: A file of the folder is damaged.
    """
    own = folder_tokenizer(folder, model.vocab)
    added = NewTokens.of(model)
    if own is None or not added:
        return own is None or own.digest == tokenizer.digest
    if any(text in own for text in (*added.plain, *added.special)):
        return False
    own = folder_tokenizer(folder, model.vocab, added)
    return own is not None and own.digest == tokenizer.digest


def find_source(
    path: str | os.PathLike[str],
    *,
    checkpoint: int | None = None,
    average: bool = False,
) -> Source:
    """Reads the model of a run, or of any folder that `read_model` reads.

    Args:
      path: A run's folder, a checkpoint as `locate` finds it, or a model's.
      checkpoint: Step of the checkpoint to take; None takes the one that the
        path names, or `model/`, or the newest checkpoint where there is no
        such folder.
      average: Takes the average of the weights that a checkpoint has.

    Raises:
      ValueError: There is no such model, or it is damaged.
    """
    folder = None if average else model_folder(Path(path))
    if folder and checkpoint is None:
        found = read_model(folder)
        tokenizer = folder_tokenizer(folder, found.model.vocab)
        return Source(
            found.model,
            found.parameters,
            tokenizer,
            found.ends,
            folder,
            None,
            False,
            Path(path),
            read_carried(folder),
            Path(path) if has_config(Path(path)) else None,
        )
    place = locate(path)
    if checkpoint is not None:
        place = replace(place, step=checkpoint)
    return _checkpoint(place, average=average)


def _checkpoint(place: Place, *, average: bool) -> Source:
    from eisbach import _C

    step, folder = place.one()
    _, config, parameters = _C.read_checkpoint(folder, average=average)
    return Source(
        _model(folder, json.loads(config)),
        parameters,
        _tokenizer(place, json.loads(config)),
        None,
        folder,
        step,
        place.step is not None,
        place.run or place.root,
        _carried(RunFolder(place.run)) if place.run else Carried(),
        place.run,
    )


def _carried(run: RunFolder) -> Carried:
    return read_carried(run.base, tokenizer=run.tokenizer)


def _model(folder: Path, saved: dict[str, Any]) -> ModelSection:
    from eisbach.config import ConfigError, make_config, resolve

    if not isinstance(saved.get("model"), dict):
        raise ValueError(
            f"{folder}: does not say of which model it is; a training by "
            "`eisbach train` writes that"
        )
    try:
        return resolve(make_config(model=saved["model"])).model
    except ConfigError as error:
        raise ValueError(f"{folder}: {error}") from None


def _tokenizer(place: Place, saved: dict[str, Any]) -> Tokenizer | None:
    """That of the run; of a checkpoint alone only bytes are known."""
    from eisbach.config import load_config, resolve

    if place.run:
        run = RunFolder.open(place.run)
        stored = stored_tokenizer(run.tokenizer)
        return stored or run_tokenizer(resolve(load_config(run.config)))
    is_bytes = saved.get("data.tokenizer") == BYTES
    return load_tokenizer(BYTES) if is_bytes else None
