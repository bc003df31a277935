"""Files as text: what is packed is unpacked, and what is no text is refused.

Every text is UTF-8 unless its first bytes say otherwise (a byte order mark) or
an encoding is given; nothing is guessed and nothing is replaced.
"""

from __future__ import annotations

import codecs
import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from eisbach.data.packing import unpack
from eisbach.files import open_regular

_BLOCK = 1 << 20
_HEAD = 4096
AUTO = "auto"

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Where the sign stands, the sign, and what such a file is.
_NO_TEXT = (
    (0, b"\x7fELF", "a program (ELF)"),
    (0, b"\x89PNG", "an image (PNG)"),
    (0, b"\xff\xd8\xff", "an image (JPEG)"),
    (0, b"GIF8", "an image (GIF)"),
    (0, b"%PDF-", "a PDF: extract its text first, as pdftotext does"),
    (0, b"PK\x03\x04", "a ZIP archive (or a document in one): unpack it"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (0, b"Rar!", "a RAR archive: unpack it"),
    (257, b"ustar", "a tar archive: unpack it"),
    (0, b"SQLite format 3\x00", "a data base (SQLite)"),
    (0, b"ARROW1", "an Arrow file: save it as Parquet"),
    (0, b"OggS", "audio (Ogg)"),
    (0, b"RIFF", "audio or video (RIFF)"),
    (0, b"PAR1", "a Parquet file: name it .parquet, or --format parquet"),
    (0, b"\xd0\xcf\x11\xe0", "an old Office document"),
)


@dataclass
class Reading:
    """How files are read, and what has been read.

    Attributes:
      encoding: Of files without a byte order mark; `auto` is UTF-8.
      encodings: How many files were in which encoding.
      pipes: Whether files may be FIFOs, which can be read once.
      bytes: Read from files so far, as they lie there.
      keeps_bad: Whether bytes that are no text are passed on, as halves of
        surrogate pairs, so that a record with such is found by its own.
    """

    encoding: str = AUTO
    encodings: dict[str, int] = field(default_factory=dict)
    pipes: bool = False
    bytes: int = 0
    keeps_bad: bool = False

    def __post_init__(self) -> None:
        if self.encoding != AUTO:
            try:
                self.encoding = codecs.lookup(self.encoding).name
            except LookupError:
                raise ValueError(
                    f"--encoding {self.encoding}: unknown; for example utf-8, "
                    "utf-16, latin-1, cp1252"
                ) from None

    def count(self, encoding: str) -> None:
        """Counts a file."""
        self.encodings[encoding] = self.encodings.get(encoding, 0) + 1


class _Counted(io.RawIOBase):
    """Passes a stream on and counts its bytes.

    Reads of the system are not gathered below it: Python would run no signal
    handler between two of them.
    """

    def __init__(self, stream: IO[bytes], reading: Reading):
        self._stream = stream
        self._reading = reading

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        self._reading.bytes += len(block)
        return len(block)


@contextlib.contextmanager
def opened(
    path: Path, reading: Reading, stream: IO[bytes] | None = None
) -> Iterator[IO[bytes]]:
    """Opens a file, unpacked; it may be packed more than once.

    Args:
      path: The file; only a name where `stream` is given.
      reading: Counts.
      stream: Is read in place of the file.

    Raises:
      ValueError: It is no regular file, or of a known kind that is no text.
    """
    with contextlib.ExitStack() as stack:
        source = stream or stack.enter_context(
            open_regular(path, pipes=reading.pipes)
        )
        found: Any = io.BufferedReader(_Counted(source, reading), _BLOCK)
        while True:
            head = _head(found, path)
            unpacked = unpack(found, head, path)
            if unpacked is None:
                break
            found = io.BufferedReader(unpacked, _BLOCK)
        for at, sign, what in _NO_TEXT:
            if head[at : at + len(sign)] == sign:
                raise ValueError(f"{path}: is no text but {what}")
        yield found


def _head(stream: Any, path: Path) -> bytes:
    with _unpacking(path):
        return stream.peek(_HEAD)[:_HEAD]


@contextlib.contextmanager
def _unpacking(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each way of packing has its own
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, with a text of its own
        raise ValueError(f"{path}: cannot be unpacked: {error}") from None


def text_of(path: Path, stream: Any, reading: Reading) -> Iterator[str]:
    """Yields the text of an opened file, in pieces.

    Line ends stay as they are; a byte order mark goes.

    Raises:
      ValueError: It is no text in its encoding: names the place.
    """
    head = _head(stream, path)
    name = next((n for mark, n in _MARKS if head.startswith(mark)), None)
    if name is None:
        name = "utf-8" if reading.encoding == AUTO else reading.encoding
        _refuse_zeros(path, head, name)
    reading.count("utf-8" if name == "utf-8-sig" else name)
    keeps_bad = reading.keeps_bad and name.startswith("utf-8")
    decoder = codecs.getincrementaldecoder(name)(
        "surrogateescape" if keeps_bad else "strict"
    )
    done = 0
    while True:
        with _unpacking(path):
            block = stream.read(_BLOCK)
        held = len(decoder.getstate()[0])
        try:
            piece = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise ValueError(
                _no_text(path, error, name, done - held + error.start)
            ) from None
        done += len(block)
        if "\0" in piece:
            raise ValueError(
                f"{path}: is no text in {name}: it holds bytes of zero"
            )
        if piece:
            yield piece
        if not block:
            return


def _refuse_zeros(path: Path, head: bytes, name: str) -> None:
    if b"\0" not in head or name.startswith(("utf-16", "utf-32")):
        return
    for start, order in ((1, "le"), (0, "be")):
        # Text of Latin letters has a zero in every second byte.
        zeros = head[start::2].count(0)
        if zeros > len(head) // 4 and head[1 - start :: 2].count(0) == 0:
            raise ValueError(
                f"{path}: looks like UTF-16 without a byte order mark: give "
                f"--encoding utf-16-{order}"
            )
    raise ValueError(f"{path}: is no text: it holds bytes of zero")


def _no_text(
    path: Path, error: UnicodeDecodeError, name: str, place: int
) -> str:
    bad = error.object[error.start]
    if not error.reason.startswith(("invalid", "unexpected", "truncated")):
        return f"{path}: is no text in {name}: {error.reason} at byte {place}"
    advice = (
        "give its --encoding: latin-1 or cp1252 are usual in western Europe"
        if name == "utf-8"
        else "is this its --encoding?"
    )
    return (
        f"{path}: is no text in {name}: byte 0x{bad:02x} at {place} "
        f"({error.reason}); {advice}"
    )
