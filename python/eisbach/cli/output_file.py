"""A file that a command writes where an option says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check(option: str, path: Path, suffix: str) -> None:
    """Refuses a place for a file before anything is computed for it.

    Args:
      option: That names it.
      path: Of the file.
      suffix: That it has to have, as in `.png`.

    Raises:
      ValueError: It has another, is a folder, or its folder does not exist.
    """
    if path.suffix.lower() != suffix:
        raise ValueError(
            f"{option} {path}: what is written is a {suffix}; nearest that "
            f"works: {path.with_name(path.stem + suffix)}"
        )
    if path.is_dir():
        raise ValueError(f"{option} {path}: is a folder")
    if not path.parent.is_dir():
        raise ValueError(
            f"{option} {path}: there is no folder {path.parent} to write it in"
        )


@contextmanager
def written(option: str, path: Path) -> Iterator[None]:
    """Says in words why a file cannot be written.

    Raises:
      ValueError: An OSError came up.
    """
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{option} {path}: cannot be written: {error.strerror}"
        ) from None
