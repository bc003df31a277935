"""Which checkpoint is resumed from, and which are put aside or deleted."""

import pytest

from eisbach.run.checkpoints import find, prune, set_aside, to_resume
from eisbach.run.folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "a")
    folder.config.write_text("train: {steps: 40}\n")
    return folder


def save(folder, *names):
    for name in names:
        path = folder.checkpoints / f"step-{name}"
        path.mkdir(parents=True)
        (path / "manifest.json").write_text("{}")


def test_the_newest_is_by_number(folder):
    with pytest.raises(ValueError, match=r"train\.save_minutes"):
        to_resume(folder)
    save(folder, "9", "10", "11.unfinished", "12.deleted", "x")
    (folder.checkpoints / "step-13").write_text("a file")
    assert to_resume(folder) == (10, folder.checkpoints / "step-10")


def test_the_one_that_is_named_is_taken(folder):
    save(folder, "00000009", "00000010")
    named = RunFolder.open(folder.checkpoints / "step-00000009")
    assert to_resume(named) == (9, folder.checkpoints / "step-00000009")
    absent = RunFolder.open(folder.checkpoints / "step-00000008")
    with pytest.raises(ValueError, match="of step 8; there are 9, 10"):
        to_resume(absent)


def test_what_is_newer_becomes_a_run_of_its_own(folder):
    save(folder, "10", "20", "30")
    folder.metrics.write_text("metrics")
    folder.summary.write_text("{}")
    folder.model.mkdir()
    folder.tokenizer.mkdir()
    (folder.tokenizer / "tokenizer.json").write_text("{}")
    assert set_aside(folder, 30) is None
    aside = RunFolder.open(set_aside(folder, 10))
    assert list(find(folder)) == [10]
    assert list(find(aside)) == [20, 30]
    # The run goes on in its own files, and shows no result that is not its.
    assert aside.metrics.read_text() == folder.metrics.read_text()
    assert aside.config.read_text() == folder.config.read_text()
    assert (aside.tokenizer / "tokenizer.json").is_file()
    assert aside.summary.is_file()
    assert aside.model.is_dir()
    assert not folder.summary.exists()
    assert not folder.model.exists()
    save(folder, "15")
    again = set_aside(folder, 10)
    assert again.name == "aside-2"


@pytest.mark.parametrize(
    ("keep", "every", "spare", "left"),
    [
        (2, 0, 0, [5, 6]),
        (1, 0, 0, [6]),
        (0, 0, 0, [1, 2, 3, 4, 5, 6]),
        (9, 0, 0, [1, 2, 3, 4, 5, 6]),
        (1, 2, 0, [2, 4, 6]),
        (1, 0, 3, [3, 6]),
        (2, 3, 1, [1, 3, 5, 6]),
    ],
)
def test_old_ones_are_deleted(folder, keep, every, spare, left):
    save(folder, *"123456")
    prune(folder, keep=keep, every=every, spare=spare)
    names = {path.name for path in folder.checkpoints.iterdir()}
    assert names == {f"step-{step}" for step in left}


def test_what_was_interrupted_is_deleted(folder):
    save(folder, "1.deleted", "2", "3.unfinished")
    prune(folder, keep=1, every=0, spare=0)
    assert [p.name for p in folder.checkpoints.iterdir()] == ["step-2"]


def test_half_of_one_never_looks_like_one(folder, monkeypatch):
    save(folder, "1", "2")
    seen = []
    monkeypatch.setattr(
        "shutil.rmtree", lambda path: seen.append((path.name, find(folder)))
    )
    prune(folder, keep=1, every=0, spare=0)
    left = {2: folder.checkpoints / "step-2"}
    assert seen == [("step-1.deleted", left)]
