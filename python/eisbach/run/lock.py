"""One process writes to a run folder; the lock dies with it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import platform
import struct
from datetime import datetime
from pathlib import Path

from eisbach.files import open_regular
from eisbach.run.output import warn

_BUSY = (errno.EACCES, errno.EAGAIN)
# The kernel asks nobody who holds a lock itself.
_held: set[str] = set()
os.register_at_fork(after_in_child=_held.clear)  # a fork gets no lock


class RunLock:
    """Holds a file locked until `release` or the end of the process.

    It is a lock of POSIX: a kernel keeps it for the process, NFS for its host
    too, and child processes do not get it. Closing any descriptor of the file
    in the process that holds it would give it up, so nothing else opens it.
    """

    def __init__(self, path: Path):
        """Takes the lock.

        Args:
          path: The file; it stays there, and names who holds it.

        Raises:
          ValueError: Another process holds it, or the file cannot be made.
        """
        self._key = os.path.realpath(path)
        if self._key in _held:
            raise ValueError(f"{path.parent} is in use by this process")
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._file = os.open(path, flags, 0o640)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                holder = os.pread(self._file, 4096, 0)
                os.close(self._file)
                raise ValueError(_in_use(path.parent, holder)) from None
            warn(
                f"{path}: this file system has no locks ({error.strerror}): "
                "see to it that no other process uses the run folder"
            )
        _held.add(self._key)
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        me = {"host": platform.node(), "pid": os.getpid(), "since": now}
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, json.dumps(me).encode() + b"\n", 0)

    def release(self) -> None:
        """Gives it up; a second time does nothing."""
        if self._key in _held:
            _held.remove(self._key)
            os.close(self._file)


def is_held(path: Path) -> bool | None:
    """Whether another process holds a lock; it is not taken for that.

    Returns:
      None where the system does not tell.
    """
    if os.path.realpath(path) in _held:  # to close it would give it up
        return False
    question = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        with open_regular(path) as stream:
            answer = fcntl.fcntl(stream, fcntl.F_GETLK, question)
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return None
    return struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK


def _in_use(folder: Path, holder: bytes) -> str:
    try:
        told = json.loads(holder)
        who = (
            f"process {told['pid']} on {told['host']}, since {told['since']}: "
            "wait for its end, or stop it with "
            f"`kill {told['pid']}` on {told['host']}"
        )
    except (ValueError, KeyError, TypeError):
        who = "another process: wait for its end, or stop it"
    return f"{folder} is in use by {who}"
