"""A picture that a command writes where an option says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check(option: str, path: Path) -> None:
    """Refuses a place for a picture before anything is computed for it.

    Raises:
      ValueError: It is no `.png`, or its folder does not exist.
    """
    if path.suffix.lower() != ".png":
        raise ValueError(
            f"{option} {path}: pictures are drawn as PNG; nearest that works: "
            f"{path.with_name(path.stem + '.png')}"
        )
    if not path.parent.is_dir():
        raise ValueError(
            f"{option} {path}: there is no folder {path.parent} to write it in"
        )


@contextmanager
def written(option: str, path: Path) -> Iterator[None]:
    """Says in words why a picture cannot be written.

    Raises:
      ValueError: An OSError came up.
    """
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{option} {path}: cannot be written: {error.strerror}"
        ) from None
