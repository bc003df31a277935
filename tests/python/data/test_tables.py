from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from eisbach.data.formats import records
from eisbach.data.records import Records
from eisbach.data.tables import parquet


def read_csv(text, **options):
    kept = Records(**options)
    return list(records(Path("f.csv"), "csv", [text], kept)), kept


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv(separator, end):
    rows = [["n", "text"], ["1", '"two\nlines, ""and"" more"'], ["2", "b"]]
    text = end.join(map(separator.join, rows))
    found, _ = read_csv(text)
    assert found == [(3, 'two\nlines, "and" more'), (4, "b")]
    assert read_csv(text, field="n")[0] == [(3, "1"), (4, "2")]


def test_long_fields():
    assert read_csv(f"text\n{'a' * 200_000}\n")[0] == [(2, "a" * 200_000)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,body\n1,2\n", "f.csv:1: no column 'text'.*a, body"),
        ("Text,b\n1,2\n", "closest: 'Text'"),
        ("text,text\n1,2\n", "two columns"),
        ("", "columns: none"),
        ("text,b\n1\n", "f.csv:2: 1 columns, the first line 2"),
        ('text\n"a', "f.csv:2: "),
    ],
)
def test_bad_csv_is_named(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_csv(text)


def test_rows_of_other_width_can_be_left_out():
    found, kept = read_csv("text,b\n1\na,b\n", skips=True)
    assert (found, kept.skipped) == ([(3, "a")], 1)


def write_parquet(path, **columns):
    pyarrow.parquet.write_table(
        pyarrow.table(columns), path, row_group_size=700
    )
    return path


def test_parquet(tmp_path):
    texts = [f"row {i} ☃" for i in range(3000)]
    path = write_parquet(
        tmp_path / "a.parquet", n=list(range(3000)), text=texts
    )
    told = []
    found = list(parquet(path, Records(), told.append))
    assert found == list(enumerate(texts, 1))
    assert 0 < sum(told) <= path.stat().st_size


def test_bad_parquet_is_named(tmp_path, monkeypatch):
    path = write_parquet(
        tmp_path / "a.parquet", text=["a", None, "b"], n=[1, 2, 3]
    )

    def read(**options):
        kept = Records(**options)
        return [t for _, t in parquet(path, kept, lambda _: None)], kept

    with pytest.raises(ValueError, match=r"row 2: .*it is a null"):
        read()
    found, kept = read(skips=True)
    assert (found, kept.skipped) == (["a", "b"], 1)
    with pytest.raises(ValueError, match=r"row 1: .*it is a number"):
        read(field="n")
    with pytest.raises(ValueError, match=r"no column 'body'.*text, n"):
        read(field="body")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"a\.parquet: damaged"):
        read()
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"pip install 'eisbach\[parquet\]'"):
        read()
