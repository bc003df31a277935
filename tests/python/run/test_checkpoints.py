"""Which checkpoints are put aside, and which are deleted."""

import json

import pytest

from eisbach.run.checkpoints import mark_damaged, prune, set_aside
from eisbach.run.folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "a")
    folder.config.write_text("train: {steps: 40}\n...\n")
    return folder


def save(folder, *names):
    for name in names:
        path = folder.checkpoints / f"step-{name}"
        path.mkdir(parents=True)
        (path / "manifest.json").write_text("{}")


def test_what_is_newer_becomes_a_run_of_its_own(folder):
    save(folder, "10", "20", "30")
    folder.metrics.write_text("metrics")
    folder.summary.write_text("{}")
    folder.model.mkdir()
    folder.tokenizer.mkdir()
    (folder.tokenizer / "tokenizer.json").write_text("{}")
    assert set_aside(folder, 30) is None
    aside = RunFolder.open(set_aside(folder, 10))
    assert list(folder.saved()) == [10]
    assert list(aside.saved()) == [20, 30]
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
    prune(folder, keep=keep, every=every, best=0, spare=spare)
    names = {path.name for path in folder.checkpoints.iterdir()}
    assert names == {f"step-{step}" for step in left}


def test_what_was_interrupted_is_deleted(folder):
    save(folder, "1.deleted", "2", "3.unfinished")
    prune(folder, keep=1, every=0, best=0, spare=0)
    assert [p.name for p in folder.checkpoints.iterdir()] == ["step-2"]


def test_the_best_by_validation_stay(folder):
    save(folder, *"123456")
    losses = {1: 3.0, 2: 1.0, 3: None, 4: 2.0, 7: 0.5}
    folder.validation.write_text(
        "".join(
            json.dumps({"step": step, "loss": loss}) + "\n"
            for step, loss in losses.items()
        )
    )
    prune(folder, keep=1, every=0, best=2, spare=0)
    assert list(folder.saved()) == [2, 4, 6]


def test_half_of_one_never_looks_like_one(folder, monkeypatch):
    save(folder, "1", "2")
    seen = []
    monkeypatch.setattr(
        "shutil.rmtree", lambda path: seen.append((path.name, folder.saved()))
    )
    prune(folder, keep=1, every=0, best=0, spare=0)
    left = {2: folder.checkpoints / "step-2"}
    assert seen == [("step-1.deleted", left)]


def test_what_is_damaged_is_kept_under_another_name(folder):
    for name in ("10.damaged", "10.damaged-2"):
        save(folder, "10")
        place = mark_damaged(folder.saved()[10])
        assert place.name == f"step-{name}"
        assert (place / "manifest.json").is_file()
        assert not folder.saved()
    prune(folder, keep=1, every=0, best=0, spare=0)
    assert len(list(folder.checkpoints.iterdir())) == 2
