"""A file that a command writes where an option says."""

from __future__ import annotations

import tempfile
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
      ValueError: It has another, is something else than a file, its folder does
        not exist, or nothing can be written there.
    """
    with written(option, path):
        if path.is_dir():  # `.`, too, which is what an empty path means
            raise ValueError(
                f"{option} {path}: is a folder; what is written is a {suffix}"
            )
        if path.suffix.lower() != suffix:
            raise ValueError(
                f"{option} {path}: what is written is a {suffix}; nearest that "
                f"works: {path.with_name(path.stem + suffix)}"
            )
        if path.exists() and not path.is_file():
            raise ValueError(f"{option} {path}: is no regular file")
        if not path.parent.is_dir():
            raise ValueError(
                f"{option} {path}: there is no folder {path.parent} to write "
                "it in"
            )
        with tempfile.TemporaryFile(dir=path.parent):
            pass


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
            f"{option} {path}: cannot be written: {error.strerror or error}"
        ) from None
