import os
from pathlib import Path

import pytest

from eisbach.data.inputs import find


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "books"
    for name in (
        "b.txt",
        "a/c.md",
        "a/d.jsonl.gz",
        "a/e.PY",
        "f.png",
        "g.tex",
        "h",
        ".git/i.txt",
        ".j.txt",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def keys(*paths, **options):
    return [file.key for file in find(paths, **options).files]


def test_types_of_text_are_taken_from_folders(folder):
    assert keys(folder) == ["a/c.md", "a/d.jsonl.gz", "a/e.PY", "b.txt"]
    (note,) = find([folder]).notes
    assert "took 1 .jsonl, 1 .md, 1 .py, 1 .txt; left out 2 hidden" in note
    assert "1 .png, 1 .tex, 1 without a suffix (--pattern" in note


def test_what_is_not_a_file_is_told(folder, tmp_path):
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert "1 links to folders" in find([folder]).notes[0]
    assert find([folder, tmp_path / "pipe"], pipes=True).bytes is None
    with pytest.raises(ValueError, match="pipe: is a FIFO, not a regular"):
        find([folder, tmp_path / "pipe"])
    for pipes in (False, True):
        with pytest.raises(ValueError, match="zero: is a device, not a reg"):
            find([Path("/dev/zero")], pipes=pipes)


def test_all_patterns_count(folder):
    assert keys(folder, patterns=["*.tex", "*.txt"]) == ["b.txt", "g.tex"]
    assert keys(folder, patterns=["a/*"]) == [
        "a/c.md",
        "a/d.jsonl.gz",
        "a/e.PY",
    ]
    with pytest.raises(
        ValueError, match=r"no file is '\*\.c' or '\*\.h'; there are 2 hidden"
    ):
        find([folder], ["*.c", "*.h"])


def test_files_are_taken_whatever_their_name(folder):
    found = find([folder / "f.png", Path("-"), folder / "a"])
    assert [file.key for file in found.files] == [
        "f.png",
        "-",
        "c.md",
        "d.jsonl.gz",
        "e.PY",
    ]
    assert found.bytes is None
    assert find([folder / "f.png"]).bytes == 5


def test_what_cannot_be_is_named(folder, tmp_path):
    with pytest.raises(ValueError, match="no such file or folder"):
        find([tmp_path / "none"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="it is empty"):
        find([tmp_path / "empty"])
    (tmp_path / "link").symlink_to(folder / "b.txt")
    with pytest.raises(ValueError, match=r"link comes twice, also as .*b\.txt"):
        find([folder, tmp_path / "link"])
