"""Ways to damage a file: each takes its path and changes what lies there."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

Damage = Callable[[Path], None]
DEEP = 200_000


def remove(path: Path) -> None:
    """Removes whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def fifo(path: Path) -> None:
    """A named pipe that nobody writes to."""
    remove(path)
    os.mkfifo(path)


def folder(path: Path) -> None:
    """A folder of that name."""
    remove(path)
    path.mkdir()


def link(target: str) -> Damage:
    """A symbolic link; `{name}` is its own name."""

    def damage(path: Path) -> None:
        remove(path)
        path.symlink_to(target.format(name=path.name))

    return damage


def unix_socket(path: Path) -> None:
    """A socket that nobody listens at."""
    remove(path)
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path is short
        try:
            listener.bind(path.name)
        finally:
            os.chdir(here)


def write(content: bytes | str) -> Damage:
    """Other content."""
    data = content.encode() if isinstance(content, str) else content

    def damage(path: Path) -> None:
        if path.is_dir():
            remove(path)
        path.write_bytes(data)

    return damage


def edit(change: Callable[[bytes], bytes]) -> Damage:
    """The content, changed; it must become another."""

    def damage(path: Path) -> None:
        before = path.read_bytes()
        after = change(before)
        assert after != before, path
        path.write_bytes(after)

    return damage


def cut(share: float) -> Damage:
    """Only the first part, by its share."""
    return edit(lambda data: data[: int(len(data) * share)])


def first(count: int) -> Damage:
    """Only the first bytes."""
    return edit(lambda data: data[:count])


def flip(share: float) -> Damage:
    """Turns a bit over, at a share of the length."""

    def change(data: bytes) -> bytes:
        at = min(int(len(data) * share), len(data) - 1)
        return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]

    return edit(change)


def grow(tail: bytes) -> Damage:
    """Bytes more at the end."""
    return edit(lambda data: data + tail)


def zeros(path: Path) -> None:
    """As long, of zeros."""
    path.write_bytes(bytes(path.stat().st_size))


def huge(path: Path) -> None:
    """Makes a file of holes: 2 TB that take no place."""
    path.write_bytes(b"")
    os.truncate(path, 2 << 40)


def replace(old: str, new: str) -> Damage:
    """The first place of a text, replaced."""
    return edit(lambda data: data.replace(old.encode(), new.encode(), 1))


def put(offset: int, kind: str, value: int) -> Damage:
    """Writes a number of `struct` at a byte."""

    def change(data: bytes) -> bytes:
        size = struct.calcsize(kind)
        packed = struct.pack(kind, value)
        return data[:offset] + packed + data[offset + size :]

    return edit(change)


def nested(open_: str, close: str) -> str:
    """Brackets in one another."""
    return open_ * DEEP + close * DEEP


def change_json(change: Callable[[Any], None]) -> Damage:
    """JSON, changed in place."""

    def damage(path: Path) -> None:
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return damage


# What can stand in the place of any file.
ANY: dict[str, Damage] = {
    "FIFO": fifo,
    "socket": unix_socket,
    "device": link("/dev/zero"),
    "folder": folder,
    "link to itself": link("{name}"),
    "link to nothing": link("nowhere"),
    "nothing there": remove,
    "empty": write(""),
    "2 TB of holes": huge,
}
