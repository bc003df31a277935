"""What goes along unchanged with a model that was tuned."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eisbach.data.beside import names_beside
from eisbach.export.dtypes import DTYPES
from eisbach.files import make_folder, read_json, read_regular, write_atomically

if TYPE_CHECKING:
    from eisbach.config.model import ModelSection

CONFIG = "config.json"
OF_MODEL = ("LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "USE_POLICY.md")


@dataclass(frozen=True)
class Carried:
    """Files of the folder that a model is from.

    Attributes:
      files: Content by name, relative to the folder.
      described: Its `config.json`; empty where it had none.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    described: dict[str, Any] = field(default_factory=dict)

    @property
    def dtype(self) -> str | None:
        """In which its weights were, as `DTYPES` names it; None: not told."""
        name = self.described.get("dtype", self.described.get("torch_dtype"))
        return next((own for own, it in DTYPES.items() if it == name), None)

    def of(self, model: ModelSection) -> ModelSection:
        """Returns the model with the context that it was made for.

        One that was tuned on shorter rows still computes longer ones, unless
        it has learned a vector for each position.
        """
        length = self.described.get("max_position_embeddings")
        learned = model.family == "gpt"
        if learned or not isinstance(length, int) or length <= model.context:
            return model
        return model.model_copy(update={"context": length})

    def ids(self) -> dict[str, Any]:
        """Special ids of `config.json`."""
        return {
            name: value
            for name, value in self.described.items()
            if name.endswith("_token_id")
        }


def read_carried(folder: Path, *, tokenizer: Path | None = None) -> Carried:
    """Reads what goes along with the model of a folder; nothing if it is none.

    Args:
      folder: Of the model, with what came beside its tokenizer.
      tokenizer: Of a run, which has what its own tokenizer needs.

    Raises:
      ValueError: A file is damaged.
    """
    described = folder / CONFIG
    files = {
        name: read_regular(place / name)
        for place in (folder, tokenizer)
        if place
        for name in names_beside(place)
    }
    files |= {
        name: read_regular(folder / name)
        for name in OF_MODEL
        if (folder / name).is_file()
    }
    said = read_json(described) if described.is_file() else {}
    if not isinstance(said, dict):
        raise ValueError(f"{described}: no JSON object")
    return Carried(files, said)


def write_carried(folder: Path, files: dict[str, bytes]) -> None:
    """Writes files by their relative names; makes no folder for none."""
    for name, content in files.items():
        make_folder((folder / name).parent)
        write_atomically(folder / name, content)
