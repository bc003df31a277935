import gzip
import io
from pathlib import Path

import pytest

from eisbach.data.charsets import Reading, opened, text_of

TEXT = "Grüße, ☃ 𝄞\r\nend\n"


def read(path, encoding="auto", stream=None):
    reading = Reading(encoding)
    with opened(path, reading, stream) as found:
        return "".join(text_of(path, found, reading)), reading


@pytest.mark.parametrize(
    ("written", "encoding", "counted"),
    [
        ("utf-8", "auto", "utf-8"),
        ("utf-8-sig", "auto", "utf-8"),
        ("utf-8-sig", "latin-1", "utf-8"),
        ("utf-16", "auto", "utf-16"),
        ("utf-32", "auto", "utf-32"),
        ("utf-16-be", "utf-16-be", "utf-16-be"),
        ("utf-16-le", "UTF-16LE", "utf-16-le"),
        ("gb18030", "gb18030", "gb18030"),
    ],
)
def test_encodings(tmp_path, written, encoding, counted):
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode(written))
    text, reading = read(path, encoding)
    assert text == TEXT
    assert reading.encodings == {counted: 1}
    assert reading.bytes == path.stat().st_size


def test_big_endian_with_a_mark(tmp_path):
    path = tmp_path / "a.txt"
    for order in ("utf-16-be", "utf-32-be"):
        path.write_bytes(("\ufeff" + TEXT).encode(order))
        assert read(path)[0] == TEXT


def test_latin_1_is_asked_for(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("Grüße".encode("latin-1"))
    assert read(path, "latin-1")[0] == "Grüße"
    assert read(path, "cp1252")[0] == "Grüße"
    with pytest.raises(
        ValueError, match=r"a\.txt: .*utf-8: byte 0xfc at 2 .*--encoding"
    ):
        read(path)
    with pytest.raises(ValueError, match="--encoding klingon: unknown"):
        Reading("klingon")


def test_the_place_is_that_of_the_whole_text(tmp_path):
    path = tmp_path / "a.txt"
    # A letter of two bytes lies across the blocks in which a file is read.
    start = b"x" * ((1 << 20) - 1) + "ü".encode() + b"y" * 10
    path.write_bytes(start + b"\xff")
    with pytest.raises(ValueError, match=rf"byte 0xff at {len(start)} "):
        read(path)
    path.write_bytes(start + b"\xc3")
    with pytest.raises(ValueError, match=rf"byte 0xc3 at {len(start)} "):
        read(path)
    path.write_bytes(start)
    assert read(path)[0].encode() == start


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x7fELF" + bytes(60), r"a program \(ELF\)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), r"an image \(PNG\)"),
        (b"%PDF-1.7 text", "a PDF"),
        (b"PK\x03\x04" + bytes(60), "a ZIP archive"),
        (b"x" * 257 + b"ustar\x00" + bytes(200), "a tar archive"),
        (b"PAR1" + bytes(60), "a Parquet file"),
        (b"ab\0cd", "bytes of zero"),
        (b"a" * 5000 + b"\0", "bytes of zero"),
        ("Wörter".encode("utf-16-le"), "--encoding utf-16-le"),
        ("Wörter".encode("utf-16-be"), "--encoding utf-16-be"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, content, what):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.txt: .*{what}"):
        read(path)


def test_a_stream(tmp_path):
    packed = gzip.compress(TEXT.encode())
    text, reading = read(Path("in"), stream=io.BytesIO(packed))
    assert (text, reading.bytes) == (TEXT, len(packed))
