"""A small disk of one's own, which can be filled."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000  # <linux/sched.h>
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000  # <linux/mount.h>
_MNT_DETACH = 2  # <sys/mount.h>
_libc = ctypes.CDLL(None, use_errno=True)


def mount(place: Path, size: int) -> None:
    """Mounts a tmpfs that this process and what it starts see alone.

    It goes with the last of them. Of a process with one thread.

    Args:
      place: A folder.
      size: In bytes.

    Raises:
      OSError: The system allows neither root nor a user of a namespace that.
    """
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(_CLONE_NEWNS):
        _check(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWUSER))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    private = _MS_REC | _MS_PRIVATE
    _check(_libc.mount(b"none", b"/", None, private, None))
    options = f"size={size},mode=0700".encode()
    target = os.fsencode(place)
    _check(_libc.mount(b"tmpfs", target, b"tmpfs", 0, options))


def unmount(place: Path) -> None:
    """Lets go of it; it goes with the last file that is open."""
    _check(_libc.umount2(os.fsencode(place), _MNT_DETACH))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def filled(place: Path) -> Iterator[None]:
    """Leaves nothing free on the disk of a folder, inside the context."""
    ballast = place / "ballast"
    block = bytes(1 << 16)
    try:
        with ballast.open("wb", buffering=0) as file:
            while block:
                with contextlib.suppress(OSError):
                    while file.write(block):
                        pass
                block = block[: len(block) // 2]
        yield
    finally:
        ballast.unlink()
