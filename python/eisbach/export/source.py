"""What there is to export: the model of a run, of a checkpoint, of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.data.rules import stored_tokenizer
from eisbach.data.sources import run_tokenizer
from eisbach.data.tokenizer import BYTES, Tokenizer, load_tokenizer
from eisbach.export.reading import read_model
from eisbach.run.folder import RunFolder

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
    """

    model: ModelSection
    parameters: dict[str, NDArray[Any]]
    tokenizer: Tokenizer | None
    ends: tuple[int, ...] | None
    path: Path
    step: int | None


def model_folder(path: Path) -> Path | None:
    """Returns `path/model`, or `path` where that is a model's folder itself."""
    for folder in (path / "model", path):
        if (folder / "config.json").is_file():
            return folder
    return None


def folder_tokenizer(folder: Path, vocab: int) -> Tokenizer | None:
    """Returns the tokenizer of a model's folder; None if it has none.

    Raises:
      ValueError: A file of it is damaged.
    """
    stored = stored_tokenizer(folder)
    if stored:
        return stored
    file = folder / "tokenizer.json"
    if file.is_file():
        return load_tokenizer(str(file))
    return load_tokenizer(BYTES) if vocab == 256 else None


def find_source(path: Path, *, checkpoint: int | None = None) -> Source:
    """Reads the model of a run, or of any folder that `read_model` reads.

    Args:
      path: A run's folder, one of its `checkpoints/step-N`, or a model's.
      checkpoint: Step of the checkpoint to take; None takes `model/`, and the
        newest checkpoint where there is no such folder.

    Raises:
      ValueError: There is no such model, or it is damaged.
    """
    folder = model_folder(path)
    if folder and checkpoint is None:
        found = read_model(folder)
        tokenizer = folder_tokenizer(folder, found.model.vocab)
        return Source(
            found.model, found.parameters, tokenizer, found.ends, folder, None
        )
    run = RunFolder.open(path)
    if checkpoint is not None:
        run.step = checkpoint
    return _checkpoint(run)


def _checkpoint(run: RunFolder) -> Source:
    from eisbach import _C
    from eisbach.config import load_config, resolve

    step, folder = run.last_checkpoint()
    config = resolve(load_config(run.config), file=run.config)
    _, _, parameters = _C.read_checkpoint(str(folder))
    tokenizer = stored_tokenizer(run.tokenizer) or run_tokenizer(config)
    return Source(config.model, parameters, tokenizer, None, folder, step)
