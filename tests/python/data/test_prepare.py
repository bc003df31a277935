import json

import pytest

from eisbach import _C
from eisbach.data.corpus import Corpus
from eisbach.data.prepare import (
    prepare_default,
    write_token_file,
)
from eisbach.data.rules import DocumentRules, read_info
from eisbach.data.tokenizer import ByteTokenizer


class Ending(ByteTokenizer):
    """Bytes with an end of document."""

    vocab = 257
    digest = "ending"

    def __init__(self):
        super().__init__(DocumentRules(256, (98, 99)))


def test_documents_become_a_token_file(tmp_path):
    texts = [b"ab", b"", "ü".encode()]
    info = write_token_file(tmp_path / "new" / "a", texts, ByteTokenizer())
    assert (info.documents, info.tokens, info.bytes) == (2, 4, 4)
    file = _C.TokenFile(str(tmp_path / "new" / "a"))
    assert [d.tolist() for d in file] == [[97, 98], [195, 188]]
    assert file.dtype == "u8"
    assert read_info(tmp_path / "new" / "a") == info
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"a.bin", "a.idx", "a.json"}


def test_each_document_begins_and_ends(tmp_path):
    info = write_token_file(tmp_path / "a", [b"x", b""], Ending())
    assert (info.documents, info.tokens, info.bytes) == (2, 7, 1)
    file = _C.TokenFile(str(tmp_path / "a"))
    assert [d.tolist() for d in file] == [
        [98, 99, 120, 256],
        [98, 99, 256],
    ]
    assert file.dtype == "u16"
    assert read_info(tmp_path / "a").rules == Ending().rules


def test_nothing_is_left_of_what_failed(tmp_path):
    def texts():
        yield b"abc"
        raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        write_token_file(tmp_path / "a", texts(), ByteTokenizer())
    with pytest.raises(ValueError, match="no text"):
        write_token_file(tmp_path / "a", [b""], ByteTokenizer())
    assert list(tmp_path.iterdir()) == []
    assert read_info(tmp_path / "a") is None


def test_the_default_is_prepared_once(tmp_path):
    sources = []
    for name in ("one", "two"):
        path = tmp_path / name
        path.write_text(name)
        sources.append(path)
    corpus = Corpus(sources[:1], sources[1:], "digest")
    folder = tmp_path / "cache"
    prefixes = prepare_default(ByteTokenizer(), folder=folder, corpus=corpus)
    written = [json.loads(p.with_suffix(".json").read_text()) for p in prefixes]
    assert [info["bytes"] for info in written] == [3, 3]
    before = [p.with_suffix(".bin").stat().st_mtime_ns for p in prefixes]
    again = prepare_default(ByteTokenizer(), folder=folder, corpus=corpus)
    assert again == prefixes
    after = [p.with_suffix(".bin").stat().st_mtime_ns for p in prefixes]
    assert after == before
    other = prepare_default(Ending(), folder=folder, corpus=corpus)
    assert other != prefixes
