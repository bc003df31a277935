"""What a run was forked from, as its folder remembers it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from eisbach.files import read_json, write_atomically


@dataclass(frozen=True)
class Parent:
    """A checkpoint of another run.

    Attributes:
      run: Its folder, as it was called then.
      step: Steps done.
      manifest: Hash of the checkpoint's manifest, which has those of all that
        the checkpoint holds.
    """

    run: str
    step: int
    manifest: str

    def __str__(self) -> str:
        return f"{self.run}@{self.step}"

    def is_of(self, run: Path, step: int | None) -> bool:
        """Whether `--from` names it: a run, and a step where one is named."""
        same = self.run == real_path(run)
        return same and step in (None, self.step)


def real_path(run: Path) -> str:
    """Returns the name by which a folder is remembered."""
    return os.path.realpath(run.expanduser())


def write_parent(path: Path, parent: Parent) -> None:
    """Writes `parent.json`."""
    write_atomically(path, json.dumps(asdict(parent), indent=1) + "\n")


def read_parent(path: Path) -> Parent | None:
    """Reads `parent.json`; None where there is none.

    Raises:
      ValueError: It is damaged.
    """
    try:
        told = read_json(path)
    except FileNotFoundError:
        return None
    try:
        parent = Parent(**told)
    except TypeError:
        raise ValueError(f"{path}: is damaged: {told!r:.80}") from None
    if not isinstance(parent.run, str) or not isinstance(parent.step, int):
        raise ValueError(f"{path}: is damaged: {told!r:.80}")
    return parent
