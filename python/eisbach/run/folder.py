"""The folder of a run: its files, and names that are never taken twice."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

_CHECKPOINT = re.compile(r"step-(\d+)")


class RunFolder:
    """Paths inside the folder of a run.

    `config.yaml` resolved configuration, `metrics.jsonl` a line a step,
    `validation.jsonl` a line a validation, `summary.json`, `loss.png`,
    `tensorboard/` events, `checkpoints/step-N/`, `model/` the export.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)

    @classmethod
    def create(cls, parent: str | os.PathLike[str], name: str) -> RunFolder:
        """Makes `parent/name`, or `name-2`, `name-3`, ... where it exists.

        Raises:
          ValueError: The folder cannot be made.
        """
        count = 1
        try:
            Path(parent).mkdir(parents=True, exist_ok=True)
            while True:
                suffix = f"-{count}" if count > 1 else ""
                path = Path(parent, f"{name}{suffix}")
                try:
                    path.mkdir()
                    return cls(path)
                except FileExistsError:
                    count += 1
        except OSError as error:
            raise ValueError(
                f"cannot make a folder in {os.fspath(parent)}: "
                f"{error.strerror} (run.dir)"
            ) from None

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Opens the folder of an earlier run.

        Raises:
          ValueError: It is none.
        """
        folder = cls(path)
        if not folder.config.is_file():
            raise ValueError(f"{path}: no run folder: it has no config.yaml")
        return folder

    @property
    def config(self) -> Path:
        """The resolved configuration, which is a configuration itself."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """A JSON object a step."""
        return self.path / "metrics.jsonl"

    @property
    def validation(self) -> Path:
        """A JSON object a validation."""
        return self.path / "validation.jsonl"

    @property
    def summary(self) -> Path:
        """One JSON object about the whole run."""
        return self.path / "summary.json"

    @property
    def plot(self) -> Path:
        """The loss curve."""
        return self.path / "loss.png"

    @property
    def events(self) -> Path:
        """TensorBoard events."""
        return self.path / "tensorboard"

    @property
    def model(self) -> Path:
        """The exported model, in Hugging Face's format."""
        return self.path / "model"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints to resume from, a folder each."""
        return self.path / "checkpoints"

    def last_checkpoint(self) -> tuple[int, Path]:
        """Returns the newest complete checkpoint: its step and folder.

        Raises:
          ValueError: There is none.
        """
        found = {}
        for path in self.checkpoints.glob("step-*"):
            match = _CHECKPOINT.fullmatch(path.name)
            if match and path.is_dir():
                found[int(match[1])] = path
        if not found:
            raise ValueError(
                f"{self.path}: no checkpoint to resume from; train with "
                "train.save_every=100, or any number of steps"
            )
        return max(found), found[max(found)]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Reads a `.jsonl` file; a last line that was cut off is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


def write_atomically(path: Path, text: str) -> None:
    """Replaces a file; a reader sees the old or the new text, whole."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    os.replace(scratch, path)
