import os

import numpy as np
import pytest

from eisbach import _C
from eisbach.data.rules import DocumentRules, read_info
from eisbach.data.token_files import (
    TokenFile,
    complete,
    file_of,
    placing,
    read_pieces,
)
from eisbach.data.tokenizer import ByteTokenizer


def ending(begin=()):
    tokenizer = ByteTokenizer(DocumentRules(256, begin))
    tokenizer.vocab = 257
    return tokenizer


def test_documents_come_in_pieces(tmp_path):
    file = TokenFile(tmp_path / "a.b", ending((98, 99)))
    for piece in ([1], [], [2, 3]):
        file.append(np.array(piece, dtype=np.int32))
    assert file.end(5)
    assert file.end(0)
    info = file.close(["x"], {"utf-8": 2})
    assert (info.documents, info.tokens, info.bytes) == (2, 9, 5)
    assert (info.source, info.encodings) == (("x",), {"utf-8": 2})
    assert read_info(tmp_path / "a.b") == info
    found = _C.TokenFile(str(tmp_path / "a.b"))
    assert [d.tolist() for d in found] == [
        [98, 99, 1, 2, 3, 256],
        [98, 99, 256],
    ]
    assert found.dtype == "u16"
    assert found.document_length(0) == 6
    (piece,) = read_pieces(found, 0, 2, 5)
    assert piece.tolist() == [1, 2, 3]


def test_without_an_end_empty_documents_are_left_out(tmp_path):
    file = TokenFile(tmp_path / "a", ByteTokenizer())
    assert not file.end(0)
    file.append(np.array([1]))
    assert file.end(1)
    assert file.close().documents == 1


def write(place, *names):
    for name in names:
        file = TokenFile(place.folder / name, ByteTokenizer())
        file.append(np.array([1]))
        file.end(1)
        file.close()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_all_files_appear_or_none(tmp_path, monkeypatch):
    folder = tmp_path / "d"
    with placing(one=folder / "a", two=folder / "b.c") as place:
        write(place, "one", "two")
        assert names(folder) == [place.folder.name]
        place.place()
    everything = [
        f"{name}{suffix}"
        for name in ("a", "b.c")
        for suffix in (".bin", ".idx", ".json")
    ]
    assert names(folder) == everything

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    replace, left = os.replace, 9

    def failing(source, target):
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError("disk")
        replace(source, target)

    with placing(one=folder / "a", two=folder / "b.c") as place:
        write(place, "one")
        file = TokenFile(place.folder / "two", ByteTokenizer())
        file.append(np.array([1, 2, 3]))
        file.end(1)
        file.close()
        monkeypatch.setattr(os, "replace", failing)
        with pytest.raises(OSError, match="disk"):
            place.place()
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after == before


def test_a_mask_comes_and_goes_with_its_pair(tmp_path):
    prefix = tmp_path / "a"
    with placing(one=prefix) as place:
        file = TokenFile(place.folder / "one", ending(), masked=True)
        file.add([1, 2, 3], [0, 1, 1], 3)
        info = file.close()
        place.place()
    assert info.trained == 2
    assert _C.TokenFile(prefix).mask(0).tolist() == [0, 1, 1]
    assert complete(prefix)
    (tmp_path / "a.mask").rename(tmp_path / "b.mask")
    assert not complete(prefix)
    (tmp_path / "b.mask").rename(tmp_path / "a.mask")
    with placing(one=prefix) as place:
        write(place, "one")
        place.place()
    assert names(tmp_path) == ["a.bin", "a.idx", "a.json"]
    assert complete(prefix)


def test_what_a_killed_process_left_is_removed(tmp_path):
    left, new = tmp_path / ".prepare-left", tmp_path / ".prepare-new"
    for path in (left, new):
        path.mkdir()
        (path / "tokens.bin").write_bytes(b"x")
    os.utime(left, (0, 0))
    with placing(a=tmp_path / "a") as place:
        assert not left.exists()
        os.utime(place.folder, (0, 0))
        with placing(b=tmp_path / "b"):  # the other is at work
            assert place.folder.exists()
    assert names(tmp_path) == [".prepare-new"]


def test_suffixes_are_added_to_a_name_with_dots(tmp_path):
    assert file_of(tmp_path / "v1.5", ".bin") == tmp_path / "v1.5.bin"
