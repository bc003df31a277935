import json
from pathlib import Path

import pytest

from eisbach.data.formats import format_of, records
from eisbach.data.records import Records

ROWS = [{"text": "one"}, {"text": "zwei ☃", "n": [1, {"a": "]"}]}]
ARRAY = json.dumps(ROWS)


def read(text, kind, *, size=7, **options):
    records_ = Records(**options)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    found = list(records(Path("f"), kind, pieces, records_))
    return found, records_


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text"),
        ("a", "text"),
        ("A.JSONL", "jsonl"),
        ("web.jsonl.gz", "jsonl"),
        ("web.json.zst", "json"),
        ("t.csv", "csv"),
        ("t.tsv.xz", "csv"),
        ("t.parquet", "parquet"),
        ("t.gz", "text"),
    ],
)
def test_names_tell_formats(name, kind):
    assert format_of(Path("x.json", name)) == kind


@pytest.mark.parametrize("size", [1, 3, 7, 10_000])
def test_json_of_every_shape(size):
    expected = ["one", "zwei ☃"]
    lines = "\n\n".join(map(json.dumps, ROWS))
    for text, kind in (
        (lines, "jsonl"),
        (lines + "\n", "json"),
        (ARRAY, "json"),
        (f" \n{ARRAY}\n", "json"),
        (json.dumps(ROWS, indent=2), "json"),
        (json.dumps(ROWS, indent=2, ensure_ascii=False), "jsonl"),
        (json.dumps(expected), "json"),
    ):
        found, _ = read(text, kind, size=size)
        assert [text for _, text in found] == expected, (text, kind)
    assert read("[]", "json", size=size)[0] == []
    assert read(json.dumps(ROWS[0], indent=1), "json")[0] == [(1, "one")]


def test_lines_are_counted():
    text = '{"text": "a"}\n\n{"text": "b"}\n'
    assert read(text, "jsonl")[0] == [(1, "a"), (3, "b")]
    assert read(text.replace("text", "body"), "jsonl", field="body")[0] == [
        (1, "a"),
        (3, "b"),
    ]
    # Only a line feed ends a line.
    assert read('{"text": "a\u2028b"}\n', "jsonl")[0] == [(1, "a\u2028b")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "f:2: no JSON"),
        ('{"body": "a", "n": 1}', "f:2: no text in .*'text'; fields: body, n"),
        ('{"text": null}', "f:2: no text in the field 'text': it is a null"),
        ("[1]", "f:2: .* it is a JSON array"),
        ('{"text": "\\ud800"}', "f:2: half of a surrogate pair"),
        ("[" * 100_000, "f:2: no JSON"),
    ],
)
def test_bad_lines_stop_or_are_counted(line, reason):
    text = '{"text": "a"}\n' + line + '\n{"text": "b"}\n'
    with pytest.raises(ValueError, match=rf"{reason}.*\(--bad-lines skip"):
        read(text, "jsonl", size=1000)
    found, options = read(text, "jsonl", size=1000, skips=True)
    assert [text for _, text in found] == ["a", "b"]
    assert options.skipped == 1
    (note,) = options.notes()
    assert note.startswith("left out 1 bad records; the first: f:2: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ARRAY[:-1], "',' expected|']' expected, not 'the end'"),
        (ARRAY + "x", "text after the end"),
        ('[{"text": "a"} {"text": "b"}]', "']' expected, not '{'"),
        ('["a", ]', "at element 2"),
        ('[{"text": }]', "at element 1"),
        ("[" * 100_000, "at element 1: too deep"),
        ("[1]", "element 1: no text in the field 'text': it is a JSON number"),
    ],
)
def test_a_bad_array_is_named(text, reason):
    with pytest.raises(ValueError, match=f"f: .*{reason}"):
        read(text, "json", size=1000)


def test_a_long_array_is_not_held(monkeypatch):
    from eisbach.data import json_array

    longest = 0
    more = json_array.ArrayReader._more

    def watched(self):
        nonlocal longest
        found = more(self)
        longest = max(longest, len(self._text))
        return found

    monkeypatch.setattr(json_array.ArrayReader, "_more", watched)
    found, _ = read(json.dumps(ROWS * 500), "json", size=64)
    assert len(found) == 1000
    assert longest < 400
