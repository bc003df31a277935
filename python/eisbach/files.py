"""Reads small files that others may have written, and writes them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

# Of what is read whole: tokenizers have some tens of MB.
MOST_BYTES = 1 << 30


def read_regular(
    path: str | os.PathLike[str], *, most: int = MOST_BYTES
) -> bytes:
    """Reads a regular file; waits for nothing, and for no more than `most`.

    Raises:
      ValueError: It is a FIFO, a socket, a device or a folder, or longer than
        `most` bytes.
      OSError: The system refuses.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ValueError(
                f"{os.fspath(path)}: is {_kind(mode)}, not a regular file"
            )
        with open(descriptor, "rb", closefd=False) as stream:
            content = stream.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise ValueError(
            f"{os.fspath(path)}: is longer than the {most:,} bytes that it "
            "may have"
        )
    return content


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a FIFO" if stat.S_ISFIFO(mode) else "a device"


def read_json(path: Path, *, most: int = MOST_BYTES) -> Any:
    """Reads a regular file of JSON.

    Raises:
      ValueError: As `read_regular`, or it is no JSON, or nested too deep.
      OSError: The system refuses.
    """
    import json

    try:
        return json.loads(read_regular(path, most=most))
    except RecursionError:
        raise ValueError(f"{path}: is nested too deep") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: no JSON: {error}") from None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replaces a file; a reader sees the old or the new content, whole.

    The content and the name are on disk when this returns. Of mode 0640 less
    the umask; a link of that name is replaced, not followed.

    Raises:
      OSError: The disk is full, or fails; the old file is there.
    """
    from eisbach import _C

    data = content.encode() if isinstance(content, str) else content
    _C.write_file_atomically(path, data)


def make_folder(path: str | os.PathLike[str]) -> None:
    """Makes a folder and those above it, for user and group (0750).

    One that is there already stays as it is.

    Raises:
      OSError: The system refuses.
    """
    from eisbach import _C

    _C.make_folders(Path(path))
