"""Opens files that others may have written or named, and writes files."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Any

# Of what is read whole: tokenizers have some tens of MB.
MOST_BYTES = 1 << 30


def open_regular(
    path: str | os.PathLike[str], *, pipes: bool = False
) -> io.FileIO:
    """Opens a regular file to be read; waits for nothing.

    Args:
      path: The file.
      pipes: Whether a FIFO will do, too; then its writer is waited for.

    Raises:
      ValueError: It is a FIFO, a socket, a device or a folder.
      OSError: The system refuses.
    """
    return io.FileIO(
        os.fspath(path), opener=lambda name, _: _opened(name, pipes)
    )


def check_kind(path: str | os.PathLike[str], *, pipes: bool = False) -> None:
    """Raises as `open_regular` where it would; opens nothing."""
    _refuse_other(path, os.stat(path).st_mode, pipes)


def _opened(path: str, pipes: bool) -> int:
    check_kind(path, pipes=pipes)
    flags = os.O_RDONLY | os.O_CLOEXEC
    # Only a reader that waits sees the writer of a pipe.
    descriptor = os.open(path, flags | (0 if pipes else os.O_NONBLOCK))
    try:
        _refuse_other(path, os.fstat(descriptor).st_mode, pipes)
    except ValueError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_other(path: str | os.PathLike[str], mode: int, pipes: bool) -> None:
    if not (stat.S_ISREG(mode) or (pipes and stat.S_ISFIFO(mode))):
        raise ValueError(
            f"{os.fspath(path)}: is {_kind(mode)}, not a regular file"
        )


def read_regular(
    path: str | os.PathLike[str], *, most: int = MOST_BYTES
) -> bytes:
    """Reads a regular file; waits for nothing, and for no more than `most`.

    Raises:
      ValueError: It is a FIFO, a socket, a device or a folder, or longer than
        `most` bytes.
      OSError: The system refuses.
    """
    with io.BufferedReader(open_regular(path)) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(
            f"{os.fspath(path)}: is longer than the {most:,} bytes that it "
            "may have"
        )
    return content


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISSOCK(mode):
        return "a socket"
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


def create(path: str | os.PathLike[str]) -> int:
    """Makes a file that is not there, of mode 0640, and opens it for writing.

    Raises:
      FileExistsError: Something has that name, be it a link to nowhere.
      OSError: The system refuses.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(path, flags, 0o640)


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
