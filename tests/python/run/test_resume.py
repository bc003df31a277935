"""How a run goes on, and what it keeps of that."""

import json
import re
import shutil
from dataclasses import replace

import pytest

from eisbach.config import load_config, resolve
from eisbach.run import resume
from eisbach.run.folder import RunFolder, read_lines
from eisbach.run.parent import Parent, write_parent
from eisbach.run.restarts import Supervised
from eisbach.run.resume import Resumption, begin, choose, fork


@pytest.fixture
def folder(tmp_path):
    """Of a run with checkpoints of steps 20 and 40, which was the last."""
    file = tmp_path / "small.yaml"
    file.write_text(
        "train:\n  steps: 40\n"
        "data: {train: [{path: a, weight: 2}, {path: b}]}\n"
    )
    folder = RunFolder.create(tmp_path, "small")
    config = resolve(load_config(file), file=file)
    folder.write_config(config)
    for step in (20, 40):
        (folder.checkpoints / f"step-{step:08}").mkdir(parents=True)
    return folder


def choose_with(folder, *overrides):
    return choose(folder, load_config(folder.config, overrides))


def go_on(folder, *overrides):
    config = load_config(folder.config, overrides)
    begin(folder, config, choose(folder, config))


def origin(folder, key):
    name = key.partition(".")[2]
    line = re.search(rf"^  {name}: .*?# (.*)$", folder.config.read_text(), re.M)
    return line[1]


def test_a_change_is_kept_with_its_origin(folder, tmp_path):
    before = folder.config.read_text()
    overrides = (
        "train.steps=60",
        "optimizer.lr=1e-4",
        "data.train[1].weight=3",
    )
    resumed = choose_with(folder, *overrides)
    assert (resumed.step, resumed.finished) == (40, False)
    assert folder.config.read_text() == before  # not yet: it may be refused
    go_on(folder, *overrides)
    plain = load_config(folder.config)
    assert plain.train.steps == 60
    assert plain.optimizer.lr == 1e-4
    assert [source.weight for source in plain.data.train] == [2, 3]
    for key in ("train.steps", "optimizer.lr", "data.train"):
        assert origin(folder, key) == "--resume at step 40"
    assert origin(folder, "optimizer.min_lr") == "default"
    assert origin(folder, "run.name") == "derived: name of the file"
    # Once more: what was changed first keeps its origin.
    go_on(folder, "train.steps=80")
    assert load_config(folder.config).optimizer.lr == 1e-4
    assert origin(folder, "optimizer.lr") == "--resume at step 40"


def test_nothing_is_written_where_nothing_changed(folder):
    before = folder.config.stat()
    go_on(folder, "train.steps=40")
    assert folder.config.stat().st_ino == before.st_ino


def test_where_it_writes_cannot_change(folder):
    for key in ("run.name=other", "run.dir=/tmp/other"):
        with pytest.raises(ValueError, match=r"on resume.*\(run\."):
            choose_with(folder, key)


def test_a_target_below_the_checkpoint_is_told(folder):
    with pytest.raises(
        ValueError,
        match=r"steps=30 is below the 40 .*works: 41, .*\(train\.steps\)",
    ):
        choose_with(folder, "train.steps=30")
    older = RunFolder.open(folder.checkpoints / "step-00000020")
    assert choose_with(older, "train.steps=30").step == 20


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"steps": 20}'])
def test_a_run_without_its_result_is_not_finished(folder, content):
    folder.model.mkdir()
    (folder.model / "config.json").write_text("{}")
    assert not choose_with(folder).finished
    folder.summary.write_text(content)
    assert not choose_with(folder).finished


def test_a_run_with_its_result_is_finished(folder):
    folder.summary.write_text(json.dumps({"steps": 40}))
    assert not choose_with(folder).finished  # its model is to come
    folder.model.mkdir()
    (folder.model / "config.json").write_text("{}")
    assert choose_with(folder).finished
    assert not choose_with(folder, "train.steps=41").finished


def test_an_older_checkpoint_puts_the_newer_aside(folder, capfd):
    older = RunFolder.open(folder.checkpoints / "step-00000020")
    go_on(older, "train.steps=30")
    assert list(folder.saved()) == [20]
    aside = RunFolder.open(folder.path / "aside")
    assert list(aside.saved()) == [40]
    assert load_config(aside.config).train.steps == 40
    assert load_config(folder.config).train.steps == 30
    assert f"step 20 is now in {aside.path}" in capfd.readouterr().err


@pytest.fixture
def manifests(monkeypatch):
    """Makes every checkpoint's manifest one of this hash."""

    class Found:
        hash = "0123456789abcdef"

    monkeypatch.setattr(resume, "read_manifest", lambda path: Found())
    return Found.hash


def test_a_fork_knows_where_it_is_from(folder, manifests):
    config = load_config(folder.config, ["train.steps=60"])
    found = fork(folder, config)
    assert (found.step, found.finished, found.changed) == (40, False, [])
    assert found.parent == Parent(str(folder.path), 40, manifests)
    assert [path[-2:] for path in found.older] == ["20"]
    assert Resumption.from_json(found.as_json()) == found
    older = fork(RunFolder.open(f"{folder.path}@20"), config)
    assert (older.step, older.parent.step, older.older) == (20, 20, [])
    assert Resumption.from_json(choose_with(folder).as_json()).parent is None


def test_a_fork_has_something_to_train(folder, manifests):
    config = load_config(folder.config)
    with pytest.raises(
        ValueError,
        match=r"steps=40 leaves nothing .* the 40 .*works: 41, or an older "
        r"checkpoint by --from .*small@STEP \(train\.steps\)",
    ):
        fork(folder, config)
    with pytest.raises(ValueError, match=r"step 30; .*works: 20 or 40$"):
        fork(RunFolder.open(f"{folder.path}@30"), config)


def test_a_run_that_saved_nothing_starts_over_where_it_began(
    folder, monkeypatch
):
    shutil.rmtree(folder.checkpoints)
    with pytest.raises(ValueError, match="no checkpoint"):
        choose_with(folder)
    told = Supervised(started=1.0, restart=1, folder=str(folder.path))
    for name, value in told.variables.items():
        monkeypatch.setenv(name, value)
    resumed = choose_with(folder, "optimizer.lr=1e-4")
    assert resumed == Resumption(changed=["optimizer.lr"])
    other = RunFolder.create(folder.path.parent, "other")
    other.write_config(load_config(folder.config))
    with pytest.raises(ValueError, match="no checkpoint"):
        choose_with(other)


def test_a_fork_that_saved_nothing_begins_with_its_parent_again(
    folder, manifests, monkeypatch
):
    config = load_config(folder.config, ["train.steps=60"])
    begun = fork(folder, config)
    child = RunFolder.create(folder.path.parent, "child")
    child.write_config(config)
    write_parent(child.parent_file, begun.parent)
    told = Supervised(started=1.0, restart=1, folder=str(child.path))
    for name, value in told.variables.items():
        monkeypatch.setenv(name, value)
    assert choose(child, config) == begun
    write_parent(child.parent_file, replace(begun.parent, manifest="other"))
    with pytest.raises(ValueError, match="is another one now"):
        choose(child, config)


@pytest.mark.mpi
def test_auto_resume_puts_what_is_damaged_aside(trainer):
    train = trainer("checkpoint.every_steps=1", "train.validate_every=0")
    done, whole = train("whole", "train.steps=5", ranks=2)
    assert not done.returncode, done.stderr
    done, folder = train("broken", "train.steps=4", ranks=2)
    assert not done.returncode, done.stderr
    steps = sorted((folder / "checkpoints").iterdir())
    (steps[2] / "manifest.json").write_text("{")
    (weights,) = steps[1].glob("*.safetensors")
    data = bytearray(weights.read_bytes())
    data[-5] ^= 16
    weights.write_bytes(data)
    again = ("broken", "train.steps=5", "--auto-resume")
    done, _ = train(*again, ranks=2)
    assert not done.returncode, done.stderr
    (told,) = re.findall(r"warning: .* is damaged and now .*", done.stderr)
    assert f"{steps[2]}/manifest.json" in told
    for step in steps[1:]:
        assert f"{step}.damaged" in told
        assert step.with_name(f"{step.name}.damaged").is_dir()
    assert f"the run goes on with {steps[0]}, and what came after" in told
    assert losses(RunFolder(folder)) == losses(RunFolder(whole))
    # A run whose keys do not fit is not damaged.
    before = sorted((folder / "checkpoints").iterdir())
    done, _ = train(*again, "model.layers=1")
    assert done.returncode == 1
    assert "damaged" not in done.stderr
    assert sorted((folder / "checkpoints").iterdir()) == before


def losses(folder):
    return [(line["step"], line["loss"]) for line in read_lines(folder.metrics)]
