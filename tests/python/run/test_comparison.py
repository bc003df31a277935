import json
import subprocess
import sys
from pathlib import Path

import pytest

from eisbach.run.comparison import changed_keys, find_runs, read_run, table
from eisbach.run.lock import RunLock


@pytest.fixture
def make(tmp_path):
    def make(name, *, steps=3, target=3, lr=0.001, summary=True):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.yaml").write_text(
            f"run:\n  name: {name}\ntrain:\n  steps: {target}\n"
            f"optimizer:\n  lr: {lr}\nfuture:\n  key: 1\n"
        )
        lines = [
            {"step": i, "loss": 3.0 - i / 10, "tokens_per_second": 100.0 * i}
            for i in range(1, steps + 1)
        ]
        (folder / "metrics.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines)
        )
        (folder / "validation.jsonl").write_text(
            '{"step": 2, "loss": 2.5, "bits_per_byte": 3.6}\n'
        )
        if summary:
            (folder / "summary.json").write_text("{}")
        return folder

    return make


def test_a_run_tells_how_far_and_how_good(make):
    run = read_run(make("a"))
    assert (run.state, run.step, run.steps) == ("done", 3, 3)
    assert run.loss == pytest.approx(2.7)
    assert (run.validation, run.bits_per_byte) == (2.5, 3.6)
    assert run.tokens_per_second == 200
    assert run.keys["future.key"] == 1  # of another version


def test_states(make, tmp_path):
    assert read_run(make("short", steps=2)).state == "stopped"
    assert read_run(make("cut", summary=False)).state == "stopped"
    for told, state in (
        ("finished", "done"),
        ("stopped", "stopped"),
        ("failed", "failed"),
        ("running", "crashed"),
    ):
        run = make(f"it-{told}")
        (run / "state.json").write_text(json.dumps({"state": told}))
        assert read_run(run).state == state
    held = make("held")
    code = (
        "import sys; from pathlib import Path\n"
        "from eisbach.run.lock import RunLock\n"
        "RunLock(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, held / "lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        holder.stdout.readline()
        assert read_run(held).state == "running"
        holder.stdin.close()
    assert read_run(held).state == "done"
    RunLock(held / "lock").release()  # looking has not taken it


def test_what_cannot_be_read_is_damaged(make):
    folder = make("a")
    (folder / "config.yaml").write_text("run: [")
    run = read_run(folder)
    assert run.state == "damaged"
    assert "config.yaml" in run.fault
    assert any("config.yaml" in line for line in table([run]))


def test_a_run_that_has_just_begun(make):
    folder = make("a", steps=0)
    (folder / "validation.jsonl").unlink()
    run = read_run(folder)
    assert (run.step, run.loss, run.tokens_per_second) == (0, None, None)
    assert list(table([run]))[1].split() == [
        "a", "stopped", "0/3", "-", "-", "-", "-",
    ]  # fmt: skip


def test_the_table_shows_what_differs(make, tmp_path):
    make("a", lr=0.001)
    make("b" * 30, lr=0.002, target=123456)
    runs = [read_run(path) for path in find_runs(tmp_path)]
    assert changed_keys(runs) == ["train.steps", "optimizer.lr"]
    lines = list(table(runs))
    assert "  train.steps=3 optimizer.lr=0.001" in lines
    assert "  train.steps=123456 optimizer.lr=0.002" in lines
    assert all(len(line) <= 80 for line in lines)
    assert list(table([])) == ["no runs"]


def test_many_changes_are_broken_at_80_columns(make):
    folders = [make("a"), make("b")]
    for folder, letter in zip(folders, "xy", strict=True):
        keys = "".join(f"  key_{i}: {letter * 9}\n" for i in range(20))
        (folder / "config.yaml").write_text(f"model:\n{keys}")
    lines = list(table([read_run(f) for f in folders]))
    assert sum("model.key_" in line for line in lines) > 6
    assert all(len(line) <= 80 for line in lines)


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no such folder of runs"):
        find_runs(tmp_path / "nowhere")


def test_what_was_put_aside_is_named_by_its_run(make, monkeypatch):
    run, aside = make("a"), make("a/aside")
    assert [read_run(path).name for path in (run, aside)] == ["a", "a/aside"]
    assert find_runs(run.parent) == [run]
    monkeypatch.chdir(aside)
    assert read_run(Path()).name == "a/aside"
