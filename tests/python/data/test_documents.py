import gzip
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pyarrow.parquet
import pytest

from eisbach.data.documents import Documents


def read(*paths, **options):
    found = Documents(paths, **options)
    return [(d.key, "".join(d.pieces)) for d in found], found


def test_files_folders_and_records(tmp_path):
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "b.txt").write_text("b")
    (tmp_path / "d" / "e" / "a.txt.gz").write_bytes(gzip.compress(b"a"))
    (tmp_path / "d" / "c.csv").write_bytes("text;n\nü;1\n".encode("utf-16"))
    (tmp_path / "x.tex").write_text("x")
    (tmp_path / "l.jsonl").write_text('{"text": "1"}\n\n{"text": "☃"}\n')
    (tmp_path / "m.json").write_text(json.dumps(["m", {"text": "n"}]))
    table = pyarrow.table({"text": ["p"]})
    pyarrow.parquet.write_table(table, tmp_path / "p.parquet")
    names = ("d", "x.tex", "l.jsonl", "m.json", "p.parquet")
    found, documents = read(*(tmp_path / name for name in names))
    assert found == [
        ("b.txt", "b"),
        ("c.csv:2", "ü"),
        ("e/a.txt.gz", "a"),
        ("x.tex", "x"),
        ("l.jsonl:1", "1"),
        ("l.jsonl:3", "☃"),
        ("m.json:1", "m"),
        ("m.json:2", "n"),
        ("p.parquet:1", "p"),
    ]
    assert documents.reading.encodings == {
        "utf-8": 5,
        "utf-16": 1,
        "parquet": 1,
    }
    assert documents.reading.bytes > 0


def test_a_format_can_be_given(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"body": "a"}\n')
    assert read(path, kind="text")[0] == [("a.json", '{"body": "a"}\n')]
    assert read(path, kind="jsonl", field="body")[0] == [("a.json:1", "a")]
    with pytest.raises(ValueError, match=r"a\.json:1: no text in .*body"):
        read(path)
    assert read(path, skips_bad=True)[1].records.skipped == 1


def test_the_standard_input(monkeypatch):
    text = b'{"text": "a"}\n{"text": "b"}\n'
    for kind, expected in (
        ("auto", [("-", text.decode())]),
        ("jsonl", [("-:1", "a"), ("-:2", "b")]),
    ):
        stream = SimpleNamespace(buffer=io.BytesIO(gzip.compress(text)))
        monkeypatch.setattr(sys, "stdin", stream)
        assert read(Path("-"), kind=kind)[0] == expected
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\xff"))
    )
    with pytest.raises(ValueError, match="standard input: is no text in utf-8"):
        read(Path("-"))
