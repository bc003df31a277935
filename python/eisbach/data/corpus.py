"""Text that every machine has: the sources of Python's standard library."""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VALIDATION_SHARE = 0.05
_LEFT_OUT = {
    "__pycache__",
    "dist-packages",
    "idle_test",
    "site-packages",
    "test",
    "tests",
}


@dataclass(frozen=True)
class Corpus:
    """Files of text, divided.

    Attributes:
      train: Files to train on, in the order in which they are written.
      validation: Files to validate on; none is in both.
      digest: Changes when a file is added, goes, or changes its size.
    """

    train: list[Path]
    validation: list[Path]
    digest: str


def is_validation(name: str, share: float = VALIDATION_SHARE) -> bool:
    """Whether the document of this name is held out; a pure function of it."""
    head = hashlib.sha256(name.encode()).digest()[:8]
    return int.from_bytes(head, "big") < share * 2**64


def _sources(root: Path) -> Iterator[Path]:
    for folder, inner, files in os.walk(root):
        inner[:] = [name for name in inner if name not in _LEFT_OUT]
        for name in files:
            if name.endswith(".py"):
                yield Path(folder, name)


def standard_library(root: Path | None = None) -> Corpus:
    """Lists the `*.py` of the standard library, sorted, without its tests.

    Args:
      root: Where it is; None asks this Python.
    """
    root = root or Path(sysconfig.get_path("stdlib"))
    train, validation = [], []
    digest = hashlib.sha256()
    for path in sorted(_sources(root)):
        name = path.relative_to(root)
        size = path.stat().st_size
        if size == 0:
            continue
        digest.update(f"{name.as_posix()}\0{size}\0".encode())
        held_out = is_validation(name.as_posix())
        (validation if held_out else train).append(path)
    return Corpus(train, validation, digest.hexdigest())
