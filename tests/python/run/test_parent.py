import json
import shutil

import pytest

from eisbach import _C
from eisbach.run.parent import Parent, read_parent, real_path, write_parent

HASH = "0123456789abcdef"


def test_it_comes_back(tmp_path):
    file = tmp_path / "parent.json"
    assert read_parent(file) is None
    parent = Parent("/runs/a", 20, HASH)
    write_parent(file, parent)
    assert read_parent(file) == parent
    assert str(parent) == "/runs/a@20"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"run": "a", "step": 1}',
        '{"run": 3, "step": 1, "manifest": ""}',
    ],
)
def test_damage_is_named(tmp_path, text):
    file = tmp_path / "parent.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"parent\.json: "):
        read_parent(file)


def test_it_is_known_by_any_of_its_names(tmp_path, monkeypatch):
    run = tmp_path / "a"
    run.mkdir()
    (tmp_path / "link").symlink_to(run)
    parent = Parent(real_path(run), 20, HASH)
    monkeypatch.chdir(tmp_path)
    for name in ("a", "./a", "link", f"{tmp_path}/a"):
        assert parent.is_of(type(run)(name), 20)
        assert parent.is_of(type(run)(name), None)
        assert not parent.is_of(type(run)(name), 21)
    assert not parent.is_of(tmp_path, 20)


@pytest.fixture(scope="module")
def train(eisbach, tmp_path_factory):
    """Trains in one folder of runs; returns what it says, and the run."""
    home = tmp_path_factory.mktemp("runs")

    def train(name, *arguments, status=0, **options):
        done = eisbach(
            "train",
            *arguments,
            f"run.dir={home}",
            f"run.name={name}",
            **options,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr, home / name

    return train


TINY = "configs/tiny.yaml"


@pytest.fixture(scope="module")
def parent_run(train):
    """A run of four steps, with checkpoints of steps 2 and 4."""
    _, folder = train("one", TINY, "checkpoint.every_steps=2", "train.steps=4")
    return folder


def losses(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return {line["step"]: line["loss"] for line in map(json.loads, lines)}


def contents(folder):
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


def test_a_fork_goes_its_own_way_and_leaves_its_parent(train, parent_run):
    before = contents(parent_run)
    told, same = train("same", "--from", f"{parent_run}@2")
    assert f"forked from {parent_run}@2" in told
    # With the same keys it is the same run.
    assert losses(same) == {
        s: v for s, v in losses(parent_run).items() if s > 2
    }
    parent = read_parent(same / "parent.json")
    assert (parent.run, parent.step) == (str(parent_run), 2)
    step = parent_run / "checkpoints" / "step-00000002"
    assert parent.manifest == json.loads(_C.read_manifest(step))["xxh64"]
    (first,) = (same / "checkpoints").iterdir()
    told = json.loads(_C.read_manifest(first))
    assert told["parent"] == {"step": 2, "xxh64": parent.manifest}
    summary = json.loads((same / "summary.json").read_text())
    assert summary["parent"]["step"] == 2
    _, other = train(
        "other", TINY, "--from", f"{parent_run}@2", "optimizer.lr=1e-4"
    )
    assert list(losses(other)) == list(range(3, 11))
    assert losses(other)[3] == losses(parent_run)[3]
    assert losses(other)[4] != losses(parent_run)[4]
    assert contents(parent_run) == before


def test_what_the_losses_depend_on_stays(train, parent_run):
    told, folder = train(
        "seed", "--from", parent_run, "run.seed=7", "train.steps=9", status=1
    )
    assert "run.seed=1234 in the checkpoint, 7 in this run" in told
    told, _ = train("seed", TINY, "--from", f"{parent_run}@3", status=1)
    assert "no checkpoint of step 3; nearest that works: 2 or 4" in told
    told, _ = train("seed", TINY, "--from", f"{parent_run}-none", status=1)
    assert "nothing of that name" in told
    told, _ = train(
        "seed", "--from", parent_run, "--resume", parent_run, status=2
    )
    assert "give one of them" in told
    assert not folder.exists()


@pytest.mark.mpi
def test_the_same_command_forks_and_goes_on(train, parent_run, tmp_path):
    kept = tmp_path / "kept"
    shutil.copytree(parent_run, kept)

    def again(*overrides, **options):
        command = (
            TINY,
            "--from",
            kept,
            "--auto-resume",
            "checkpoint.every_steps=2",
        )
        # Of its own parent's name: that is not what goes on.
        return train("one", *command, *overrides, **options)[0]

    told = again("train.steps=6")
    fork = parent_run.with_name("one-2")
    assert f"writes to {fork}" in told
    shutil.rmtree(kept)  # which is no longer needed
    told = again("train.steps=8", ranks=2)
    assert "goes on after step 6" in told
    assert list(losses(fork)) == [5, 6, 7, 8]
    assert "without a line" not in told
    told, _ = train("one", TINY, "--auto-resume", "train.steps=5")
    assert f"writes to {parent_run}" in told
    assert list(losses(parent_run)) == [1, 2, 3, 4, 5]
