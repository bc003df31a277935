"""Adapters and the model that they change, found by one folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from eisbach.config import Config, load_config, make_config, resolve
from eisbach.data.rules import stored_tokenizer
from eisbach.export.adapter_folder import export_adapter
from eisbach.export.card import card
from eisbach.export.carried import read_carried
from eisbach.export.peft_config import FILE
from eisbach.export.reading import read_ends
from eisbach.export.source import folder_tokenizer, model_folder
from eisbach.export.start import NONE
from eisbach.files import read_json
from eisbach.run.folder import RunFolder
from eisbach.run.place import Place, locate

if TYPE_CHECKING:
    from eisbach.data.tokenizer import Tokenizer

_OF_RUN = "adapter"
# What PEFT calls adapters that lie beside the folders of the others.
_DEFAULT = "default"


@dataclass(frozen=True)
class Adapted:
    """Adapters and their base.

    Attributes:
      config: Names both folders, as `model.from` and `adapter.from`.
      folder: Of PEFT's form.
      path: That was asked for: this one, or the checkpoint that it is made of.
      home: Folder that an export goes to if it is not told where.
      step: Of the checkpoint that it is; None for a folder.
      named: Whether that one was asked for.
    """

    config: Config
    folder: Path
    path: Path
    home: Path
    step: int | None = None
    named: bool = False

    @property
    def base(self) -> Path:
        """The folder of the model."""
        return Path(getattr(self.config.model, "from"))

    def write_to(self, output: Path) -> None:
        """Copies the adapters' folder, over one that is there."""
        if output.resolve() != self.folder.resolve():
            shutil.copytree(self.folder, output, dirs_exist_ok=True)

    def ends(self) -> tuple[int, ...]:
        """Returns the token ids that end a text."""
        return read_ends(self.base)

    def tokenizer(self, vocab: int) -> Tokenizer | None:
        """Returns that of the adapters, else of the model; None for none."""
        own = folder_tokenizer(self.folder, vocab)
        return own or folder_tokenizer(self.base, vocab)


def find_adapted(
    path: Path, overrides: Sequence[str] = (), *, name: str | None = None
) -> Adapted | None:
    """Finds adapters that are written, and their model.

    Args:
      path: Folder of a run that has ended, one of PEFT's form, or, where
        adapters are named, one that holds several, or their model's.
      overrides: `section.key=value` over the configuration of the run.
      name: Of the adapters: of a folder in `path`, or of one elsewhere.

    Returns:
      None where there are no adapters.

    Raises:
      ValueError: A file is damaged, the model is not known, there are no
        adapters of this name, or several and no name.
    """
    if name is not None:
        return _named(path, name, overrides)
    folder = _folder(path)
    if folder is None and not model_folder(path) and (inside := _inside(path)):
        raise ValueError(
            f"{path}: there are several adapters: give one of them, as in "
            f"{path / inside[0]}; they are {', '.join(inside)} (--adapter)"
        )
    return _of_folder(path, folder, overrides) if folder else None


def _named(path: Path, name: str, overrides: Sequence[str]) -> Adapted:
    """Finds adapters by their name in a folder, or by a path of their own."""
    if name in _inside(path):
        return _of_folder(path / name, path / name, overrides)
    place = path if name == _DEFAULT else Path(name)
    folder = _folder(place)
    if folder is None:
        inside = ", ".join(_inside(path)) or "none"
        raise ValueError(
            f"{path}: there are no adapters {name!r} (--adapter): neither in a "
            f"folder of it, where there are {inside}, nor in a run or a folder "
            f"with an {FILE} elsewhere"
        )
    if model := model_folder(path):
        overrides = [*overrides, f"model.from={model}"]
    return _of_folder(place, folder, overrides)


def _inside(path: Path) -> list[str]:
    """The names of adapters that are folders of another, as PEFT has them."""
    return sorted(file.parent.name for file in path.glob(f"*/{FILE}")
                  if file.parent.name != _OF_RUN)  # fmt: skip


@contextlib.contextmanager
def adapted_at(
    path: str | os.PathLike[str],
    *,
    checkpoint: int | None = None,
    average: bool = False,
) -> Iterator[Adapted | None]:
    """As `find_adapted`, also of a checkpoint, for as long as the block runs.

    Args:
      path: Folder of a run, RUN@STEP, or a folder of PEFT's form.
      checkpoint: Step of the checkpoint to take; None for `adapter/`, or the
        newest checkpoint where there is none.
      average: Takes the average of the weights that a checkpoint has.

    Yields:
      None where there are no adapters.

    Raises:
      ValueError: A file is damaged, or the model is not known.
    """
    if checkpoint is None and not average and _folder(Path(path)):
        yield find_adapted(Path(path))
        return
    try:
        place = locate(path)
    except ValueError:  # a model, or nothing: whoever reads those says so
        place = None
    if place is None or not _trains_adapters(place):
        yield None
        return
    if checkpoint is not None:
        place = replace(place, step=checkpoint)
    with tempfile.TemporaryDirectory(prefix="eisbach-adapter-") as folder:
        yield _of_checkpoint(place, Path(folder), average=average)


def _folder(path: Path) -> Path | None:
    for folder in (path / _OF_RUN, path):
        if (folder / FILE).is_file():
            return folder
    return None


def _trains_adapters(place: Place) -> bool:
    run = place.run
    return run is not None and load_config(run / "config.yaml").adapter.rank > 0


def _of_folder(path: Path, folder: Path, overrides: Sequence[str]) -> Adapted:
    file = path / "config.yaml"
    own = load_config(file if file.is_file() else None, overrides)
    base = getattr(own.model, "from")
    if base == NONE:
        base = read_json(folder / FILE).get("base_model_name_or_path")
    if not base or not (Path(base) / "config.json").is_file():
        raise ValueError(
            f"{folder / FILE}: its model is {base!r}, and there is no such "
            "folder; give model.from=FOLDER"
        )
    return Adapted(_with(own, str(base), folder), folder, folder, path)


def _of_checkpoint(place: Place, home: Path, *, average: bool) -> Adapted:
    """Writes the adapters of a checkpoint to a folder."""
    from eisbach import _C

    step, folder = place.one()
    assert place.run is not None
    own = load_config(place.run / "config.yaml")
    _, saved, parameters = _C.read_checkpoint(folder, average=average)
    # The newest run may have another one by now.
    said = json.loads(saved)
    made = resolve(
        make_config(model=said["model"], adapter=said["adapter"])
    ).derive("model.from", getattr(own.model, "from"), str(place.run))
    run = RunFolder(place.run)
    export_adapter(
        home,
        made,
        parameters,
        stored_tokenizer(run.tokenizer),
        carried=read_carried(run.base, tokenizer=run.tokenizer),
        page=card(run, step),
    )
    config = _with(own, getattr(own.model, "from"), home)
    named = place.step is not None
    return Adapted(config, home, folder, place.run, step, named)


def _with(config: Config, base: str, folder: Path) -> Config:
    config = config.derive("model.from", base, str(folder))
    return config.derive("adapter.from", str(folder), str(folder))
