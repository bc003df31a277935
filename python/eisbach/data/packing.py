"""Packed files: gzip, bzip2, xz and zstd, told by their first bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

_BLOCK = 1 << 14


def unpack(stream: Any, head: bytes, path: Path) -> io.BufferedIOBase | None:
    """Returns what a packed stream holds; None where it is not packed.

    Args:
      stream: The file, at its begin.
      head: Its first bytes, not yet read.
      path: Its name, for messages.

    Raises:
      ValueError: The library that unpacks it is missing.
    """
    if head.startswith(b"\x1f\x8b"):
        import gzip

        return gzip.GzipFile(fileobj=stream, mode="rb")
    if head.startswith(b"BZh"):
        import bz2

        return bz2.BZ2File(stream)
    if head.startswith(b"\xfd7zXZ\x00"):
        import lzma

        return lzma.LZMAFile(stream)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return _Zstd(stream, path)
    return None


class _Zstd(io.RawIOBase):
    """All frames of a stream; its own reader takes a cut one for whole."""

    def __init__(self, stream: Any, path: Path):
        try:
            import zstandard
        except ImportError:
            raise ValueError(
                f"{path}: is packed with zstd: pip install 'eisbach[zstd]'"
            ) from None
        self._stream = stream
        self._new = zstandard.ZstdDecompressor().decompressobj
        self._frame: Any = None
        self._packed = b""
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held:
            self._packed = self._packed or self._stream.read(_BLOCK)
            if not self._packed:
                if self._frame is not None:
                    raise EOFError("it ends in the middle")
                return 0
            self._frame = self._frame or self._new()
            self._held = memoryview(self._frame.decompress(self._packed))
            self._packed = b""
            if self._frame.eof:
                self._packed = self._frame.unused_data
                self._frame = None
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count
