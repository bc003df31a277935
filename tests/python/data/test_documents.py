import pytest

from eisbach.data.documents import documents


def test_files_folders_and_lines(tmp_path):
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "b.txt").write_text("b")
    (tmp_path / "d" / "e" / "a.txt").write_text("a")
    (tmp_path / "d" / "c.md").write_text("c")
    (tmp_path / "x.html").write_text("x")
    (tmp_path / "l.jsonl").write_text('{"text": "1"}\n\n{"text": "☃"}\n')
    inputs = [tmp_path / "d", tmp_path / "x.html", tmp_path / "l.jsonl"]
    found = list(documents(inputs))
    assert [text for _, text in found] == [
        b"b", b"a", b"x", b"1", "☃".encode(),
    ]  # fmt: skip
    assert len({name for name, _ in found}) == 5
    assert [t for _, t in documents([tmp_path / "d"], pattern="*.md")] == [b"c"]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("none.txt", None, "no such file"),
        ("a.jsonl", "{", r"a\.jsonl:1: no JSON"),
        ("a.jsonl", '{"text": "a"}\n{"body": "a"}', "2: no text in the field"),
        ("a.jsonl", "[1]", "1: no text in the field 'text'"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, reason):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=reason):
        list(documents([tmp_path / name]))
    with pytest.raises(ValueError, match=r"no file matches '\*\.rst'"):
        list(documents([tmp_path], pattern="*.rst"))
