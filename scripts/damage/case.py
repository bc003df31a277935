"""One damage, and what is expected of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

RESUME = ("train", "--resume", "runs/r", "train.steps=6")
TRAIN = ("train", "small.yaml", "run.name=new", "train.steps=1")
SAMPLE = ("sample", "runs/r", "--prompt", "the ", "--tokens", "3")
CONFIG = ("config", "small.yaml")


@dataclass(frozen=True)
class Case:
    """A damage.

    Attributes:
      name: What was done.
      file: To which file, seen from the folder in which commands run.
      damage: Does it.
      command: Of eisbach, which meets it.
      ranks: How many.
      says: What its line on standard error holds beside the file's name, a
        regular expression.
      names: What it calls the file; None for its name.
      works: Whether the command needs nothing of what is damaged, and so ends
        as ever.
    """

    name: str
    file: str
    damage: Callable[[Path], None]
    command: tuple[str, ...] = RESUME
    ranks: int = 1
    says: str = ""
    names: str | None = None
    works: bool = False
