import json
import shutil

import pytest

from eisbach.checkpoint import listing
from eisbach.checkpoint.listing import listed, table
from eisbach.checkpoint.verifying import verified
from eisbach.run.checkpoints import mark_damaged
from eisbach.run.folder import RunFolder
from eisbach.run.place import locate


def states(path):
    return [(row.step, row.state) for row in listed(locate(path))]


def test_what_a_run_has(runs, files):
    run = runs(5, 10)
    run.validation.write_text(
        '{"step": 5, "loss": 4.25, "bits_per_byte": 6.1}\n'
        '{"step": 10, "loss": null, "bits_per_byte": null}\n'
    )
    first, second = listed(locate(run.path))
    assert (first.step, first.state, first.fault) == (5, "complete", "")
    assert first.validation_loss == 4.25
    assert second.validation_loss is None
    folder = run.saved()[5]
    assert first.bytes == sum(p.stat().st_size for p in folder.iterdir())
    assert first.layout["pipeline"] == 1
    told = first.as_json()
    assert json.loads(json.dumps(told)) == told
    assert told["path"] == str(folder)
    text = list(table([first, second]))
    assert all(len(line) <= 80 for line in text)
    assert text[1].split()[0] == "5"
    assert text[1].split()[-2:] == ["4.2500", "complete"]
    assert [row.step for row in listed(locate(f"{run.path}@10"))] == [10]


def test_what_is_not_whole_is_told(runs, files, monkeypatch):
    run = runs(5, 10, 15)
    steps = run.checkpoints
    saved = run.saved()
    shutil.copytree(saved[15], steps / "step-00000020.unfinished")
    saved[5].rename(steps / "step-00000005.deleted")
    short = files(saved[10])[0]
    size = short.stat().st_size
    short.write_bytes(short.read_bytes()[:-1])
    (saved[15] / "manifest.json").write_text("{")
    for running, state in ((False, "unfinished"), (True, "being written")):
        monkeypatch.setattr(
            listing, "standing", lambda _, r=running: "running" if r else ""
        )
        assert states(run.path) == [
            (5, "deleted"),
            (10, "damaged"),
            (15, "damaged"),
            (20, state),
        ]
    rows = listed(locate(run.path))
    assert f"{short} has {size - 1:,} of {size:,} bytes" in rows[1].fault
    assert "manifest.json" in rows[2].fault
    short.unlink()
    assert listed(locate(run.path))[1].fault == f"{short} is missing"
    assert any(f"{short} is missing" in line for line in table(rows[:0])) is (
        False
    )
    assert list(table([])) == ["no checkpoints"]


def test_what_a_resume_put_aside_is_told(runs):
    run = runs(5)
    for path in (run.saved()[5], run.saved()[5]):
        shutil.copytree(path, mark := path.with_name("copy"))
        mark_damaged(path)
        mark.rename(path)
    rows = [row for row in listed(locate(run.path)) if row.fault]
    assert [row.state for row in rows] == ["damaged", "damaged"]
    assert rows[1].fault == "put aside as step-00000005.damaged-2"
    assert states(f"{run.path}@5")[0] == (5, "complete")


def test_what_is_deleted_meanwhile_is_left_out(runs, monkeypatch):
    run = runs(5, 10)
    read = listing._whole

    def delete_first(path, *arguments):
        if path == run.saved().get(5):
            shutil.rmtree(path)
        return read(path, *arguments)

    monkeypatch.setattr(listing, "_whole", delete_first)
    assert states(run.path) == [(10, "complete")]


def test_a_file_that_gets_its_name_meanwhile_is_no_error(runs, monkeypatch):
    run = runs(5)
    folder = run.saved()[5].rename(run.checkpoints / "step-00000006.unfinished")
    (folder / ".scratch").write_text("x" * 99)
    look = type(folder).iterdir

    def finish_first(path):
        found = list(look(path))
        (folder / ".scratch").unlink(missing_ok=True)
        return iter(found)

    monkeypatch.setattr(type(folder), "iterdir", finish_first)
    assert states(run.path) == [(6, "unfinished")]


def test_a_job_that_goes_on_is_never_in_the_way(start, tmp_path):
    job = start(
        "-m",
        "eisbach",
        "train",
        "configs/tiny.yaml",
        f"run.dir={tmp_path}",
        "run.name=busy",
        "run.log_every=1000000",
        "train.steps=100000",
        "train.validate_every=0",
        "checkpoint.every_steps=1",
        "checkpoint.keep=2",
    )
    run = RunFolder(tmp_path / "busy")
    job.wait_for(lambda: len(run.saved()) == 2)
    first, seen = max(run.saved()), set()
    while max(run.saved(), default=0) < first + 20:
        rows = listed(locate(run.path))
        assert not [row for row in rows if row.fault]
        seen |= {row.state for row in rows}
        for one in verified(list(run.saved().values())):
            assert not one.found.faults
    assert "complete" in seen
    assert seen <= {"complete", "being written", "deleted"}
    job.kill()
    job.process.communicate()


@pytest.mark.parametrize(
    "name", ["step-x", "step-²", "step-", "other", "step-5.txt"]
)
def test_other_things_are_no_checkpoints(runs, name):
    run = runs(5)
    (run.checkpoints / name).write_text("")
    assert states(run.path) == [(5, "complete")]
