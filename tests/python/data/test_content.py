import shutil

import numpy as np
import pytest

from eisbach import _C
from eisbach.data.content import contents


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(prefix, *documents):
    writer = _C.TokenFileWriter(str(prefix), dtype="u8")
    for tokens in documents:
        writer.add_document(np.array(tokens, np.uint8))
    writer.close()
    return str(prefix)


def test_content_is_known_by_its_bytes_alone(tmp_path):
    first = write(tmp_path / "a", [1, 2, 3], [4])
    found = contents([first])
    assert found[0]["bin"].startswith("4 bytes, xxh64 ")
    for suffix in (".bin", ".idx"):
        shutil.move(first + suffix, str(tmp_path / "moved") + suffix)
    assert contents([str(tmp_path / "moved")]) == found
    # The same tokens in other documents are other data, and so is one token.
    other = contents([write(tmp_path / "b", [1, 2], [3, 4])])
    assert other[0]["bin"] == found[0]["bin"]
    assert other[0]["idx"] != found[0]["idx"]
    other = contents([write(tmp_path / "b", [1, 2, 3], [5])])
    assert other[0]["bin"] != found[0]["bin"]
    assert other[0]["idx"] == found[0]["idx"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.bin"):
        contents([str(tmp_path / "nowhere")])
