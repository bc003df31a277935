import json
from pathlib import Path

import pytest

from eisbach import _C
from eisbach.data.corpus import Corpus
from eisbach.data.documents import Documents
from eisbach.data.inputs import find
from eisbach.data.prepare import (
    output_prefix,
    prepare,
    prepare_default,
    prepare_text,
    write_token_file,
)
from eisbach.data.rules import DocumentRules, read_info
from eisbach.data.token_files import PlaceError
from eisbach.data.tokenizer import ByteTokenizer, load_tokenizer


def names(folder):
    return sorted(path.name for path in folder.iterdir())


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
    with pytest.raises(ValueError, match="words: no text"):
        prepare(tmp_path / "x" / "y" / "a", [], ByteTokenizer(), name="words")
    assert list(tmp_path.iterdir()) == []
    assert read_info(tmp_path / "a") is None


def test_a_place_that_cannot_be_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    for place in ("/proc/nope/a", "/proc/a", tmp_path / "file" / "a"):
        with pytest.raises(PlaceError, match="cannot be written: "):
            write_token_file(Path(place), [b"x"], ByteTokenizer())
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nope")
    with pytest.raises(PlaceError, match=r"/proc/nope/.*let XDG_CACHE_HOME"):
        prepare_text(tmp_path / "file", ByteTokenizer(), key="train")
    with pytest.raises(PlaceError, match=r"/proc/nope/.*let XDG_CACHE_HOME"):
        prepare_default(ByteTokenizer())


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


def test_the_same_text_gives_the_same_bytes(tmp_path, byte_level, texts):
    written = []
    for name in ("one", "two"):
        folder = tmp_path / name / "books"
        folder.mkdir(parents=True)
        # Files may be made in any order, and lie anywhere.
        for i in range(30) if name == "one" else reversed(range(30)):
            (folder / f"{i}.txt").write_text(texts[i])
        documents = Documents([folder])
        prepare(
            tmp_path / name / "out",
            documents,
            load_tokenizer(byte_level),
            share=0.1,
            source=["books"],
            encodings=documents.reading.encodings,
        )
        written.append(
            {
                path.name: path.read_bytes()
                for path in (tmp_path / name).glob("out*")
            }
        )
    assert len(written[0]) == 6
    assert written[0] == written[1]
    info = read_info(tmp_path / "one" / "out")
    assert info.encodings == {"utf-8": 30}
    assert info.source == ("books",)


def test_a_document_that_cannot_be_read_leaves_no_half(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(40):
        (tmp_path / "in" / f"{i:02d}.txt").write_text("text " * 99)
    (tmp_path / "in" / "99.txt").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"99\.txt: is no text in utf-8"):
        prepare(
            tmp_path / "out" / "a",
            Documents([tmp_path / "in"]),
            ByteTokenizer(),
            share=0.2,
        )
    assert not (tmp_path / "out").exists()


def test_the_output_is_a_prefix_that_is_free(tmp_path):
    (tmp_path / "in.json").write_text("[]")
    inputs = find([tmp_path / "in.json"])

    def prefix(name, share=0.0, replaces=False):
        return output_prefix(
            tmp_path / name, inputs=inputs, share=share, replaces=replaces
        )

    for name in ("x", "x.bin", "x.idx"):
        assert prefix(name) == tmp_path / "x"
    assert prefix("v1.5") == tmp_path / "v1.5"
    for replaces in (True, False):
        with pytest.raises(ValueError, match=r"in\.json is an input"):
            prefix("in", replaces=replaces)
    (tmp_path / "x-validation.bin").write_text("")
    assert prefix("x") == prefix("x", 0.1, replaces=True) == tmp_path / "x"
    with pytest.raises(ValueError, match=r"x-validation\.bin exists; --force"):
        prefix("x", 0.1)


def test_a_text_is_prepared_once(tmp_path, byte_level):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("the sea " * 99)
    said = []

    def prepared(tokenizer="bytes", share=0.1):
        said.clear()
        return prepare_text(
            tmp_path / "in",
            load_tokenizer(tokenizer),
            key="train",
            share=share,
            folder=tmp_path / "cache",
            say=said.append,
        )

    first = prepared()
    assert read_info(first[0]).bytes + read_info(first[1]).bytes == 8 * 99
    assert "took 1 .txt" in said[0]
    assert prepared() == first
    assert not said
    different = {first, prepared(byte_level), prepared(share=0.0)}
    (tmp_path / "in" / "a.txt").write_text("the SEA " * 99)
    different.add(prepared())
    assert len(different) == 4
    (tmp_path / "in" / "a.txt").write_bytes(b"\xfc")
    with pytest.raises(
        ValueError, match=r"a\.txt: .*eisbach data prepare.*\(data\.train\)"
    ):
        prepared()
    kept = names(tmp_path / "cache")
    (tmp_path / "in" / "a.txt").write_bytes(b"")
    with pytest.raises(ValueError, match=rf"^{tmp_path}/in: no text"):
        prepared()
    (tmp_path / "in" / "a.txt").write_bytes(b"xy")
    with pytest.raises(ValueError, match=rf"^{tmp_path}/in: the text has 2"):
        prepared()
    assert names(tmp_path / "cache") == kept
