import bz2
import gzip
import lzma

import pytest
import zstandard

from eisbach.data.charsets import Reading, opened, text_of

TEXT = "Grüße, ☃ 𝄞\r\nend\n"
PACK = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
}


def read(path):
    reading = Reading()
    with opened(path, reading) as found:
        return "".join(text_of(path, found, reading))


@pytest.mark.parametrize("kind", PACK)
def test_packed_files(tmp_path, kind):
    pack = PACK[kind]
    path = tmp_path / "any.name"
    path.write_bytes(pack(TEXT.encode()))
    assert read(path) == TEXT
    path.write_bytes(pack(gzip.compress(TEXT.encode("utf-16"))))
    assert read(path) == TEXT
    several = pack(b"one ") + pack(b"two")
    path.write_bytes(several)
    assert read(path) == "one two"
    path.write_bytes(pack(TEXT.encode() * 5000)[:-20])
    with pytest.raises(ValueError, match=r"any\.name: cannot be unpacked"):
        read(path)
    path.write_bytes(pack(b"\x7fELF" + bytes(60)))
    with pytest.raises(ValueError, match="is no text but a program"):
        read(path)


def test_zstd_without_its_library(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    path = tmp_path / "a.zst"
    path.write_bytes(zstandard.compress(b"a"))
    with pytest.raises(ValueError, match=r"pip install 'eisbach\[zstd\]'"):
        read(path)
