"""One run that is broken on purpose, and that what is lost would be found."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
from torture.__main__ import report
from torture.job import GLOBAL_BATCH, HASH_EVERY, LAYOUTS, Layout
from torture.planting import HUGE_WEIGHT, NAN_GRADIENT, WRONG_BIT, Planted
from torture.trial import Outcome, Strike, Unbroken, compare


@pytest.mark.mpi
@pytest.mark.parametrize(
    "kinds",
    [
        ("bit flip in a checkpoint", "TERM eisbach run"),
        (
            *("a weight is NaN for a step", "a weight is huge for a step"),
            *("a gradient is NaN", "a gradient is huge"),
            "bit flip in a rank's weights",
        ),
    ],
)
def test_a_broken_run_ends_as_if_nobody_had_broken_it(repo, kinds):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torture", "--minutes", "0"),
            *("--seed", "1", "--steps", "300", "--layout", "d2 t1 p1"),
            *(word for kind in kinds for word in ("--kind", kind)),
        ],
        cwd=repo / "scripts",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for told in (
        *(f"| {kind} | 1 | 1 |" for kind in kinds),
        "samples lost: 0",
        "samples used twice: 0",
        "bitwise equal to the unbroken run: 1 of 1 on the same layout",
        "faults found: 0",
    ):
        assert told in done.stdout


STEPS = 3


@pytest.fixture
def job(tmp_path):
    """Of three steps, as nobody broke it."""
    model, checkpoint = tmp_path / "model", tmp_path / "step-00000003"
    model.mkdir()
    checkpoint.mkdir()
    (model / "model.safetensors").write_bytes(b"weights")
    state = {"state": {"samples": GLOBAL_BATCH * STEPS}}
    (checkpoint / "manifest.json").write_text(json.dumps(state))
    lines = [
        {"step": n, "loss": 5.0 / n, "grad_norm": 1.0, "learning_rate": 0.1,
         "tokens": 9 * n}
        for n in range(1, STEPS + 1)
    ]  # fmt: skip
    return SimpleNamespace(
        run=tmp_path,
        lines=lines,
        metrics=lambda: lines,
        checkpoints=lambda: [checkpoint],
        weights=(model / "model.safetensors").read_bytes,
    )


def held_against(job, layouts=LAYOUTS[:1]):
    unbroken = [
        {**line, "loss": 5.0 / n, "grad_norm": 1.0}
        for n, line in enumerate(job.lines[:STEPS], 1)
    ]
    outcome = Outcome(0, list(layouts))
    compare(job, Unbroken(unbroken, b"weights"), STEPS, outcome)
    return outcome


def test_what_is_as_it_was_is_the_same(job):
    outcome = held_against(job)
    assert (outcome.same, outcome.lost, outcome.twice) == (True, 0, 0)
    assert not outcome.faults


def test_samples_that_are_lost_or_used_twice_are_counted(job):
    del job.lines[1]
    outcome = held_against(job)
    assert (outcome.lost, outcome.twice) == (GLOBAL_BATCH, 0)
    assert outcome.faults == ["steps of the metrics: [1, 3]"]
    job.lines.append(job.lines[-1])
    job.lines.insert(1, {**job.lines[0], "step": 2})
    outcome = held_against(job)
    assert (outcome.lost, outcome.twice) == (0, GLOBAL_BATCH)
    assert not outcome.same


def test_a_sampler_that_is_elsewhere_is_found(job):
    (checkpoint,) = job.checkpoints()
    (checkpoint / "manifest.json").write_text('{"state": {"samples": 5}}')
    assert held_against(job).faults == ["the last checkpoint has used 5"]


@pytest.mark.parametrize("name", ["loss", "grad_norm"])
def test_one_bit_is_a_difference_on_the_same_layout(job, name):
    job.lines[1][name] *= 1 + 1e-15
    assert held_against(job).faults == ["not as the unbroken run"]
    # On another one rounding differs, but not by much.
    moved = held_against(job, LAYOUTS[:2])
    assert moved.changed
    assert moved.same
    job.lines[1]["loss"] *= 1.01
    assert not held_against(job, LAYOUTS[:2]).same


def test_other_weights_are_a_difference(job):
    (job.run / "model" / "model.safetensors").write_bytes(b"Weights")
    assert not held_against(job).same


def test_the_report_counts_by_kind():
    one, two = Layout(1, 1, 1), Layout(2, 1, 1)
    outcomes = [
        Outcome(
            0, [one], [Strike("kill", 2.0), Strike("kill", 4.0)], same=True
        ),
        Outcome(1, [one, two], [Strike("flip", None)], lost=12, faults=["x"]),
    ]
    lines = report(outcomes).splitlines()
    assert "| kill | 2 | 2 | 3.0 | 4.0 |" in lines
    assert "| flip | 1 | 0 | - | - |" in lines
    assert "| all | 3 | 2 | 3.0 | 4.0 |" in lines
    assert "samples lost: 12" in lines
    assert "equal to rounding: 0 of 1 whose layout changed" in lines
    assert "faults found: 1" in lines


def lacks(plant, layout, *, ledger=(), words="", monkeypatch):
    """What `plant` finds missing of a fault of rank 1 in step 30."""
    monkeypatch.setattr("torture.planting.TOLD_SECONDS", 0.0)
    log = SimpleNamespace(read_bytes=lambda: b"before" + words.encode())
    job = SimpleNamespace(
        planted=Planted(rank=1, step=30, said=6, name="w"),
        layout=layout,
        log=log,
        told=lambda name: list(ledger),
    )
    return plant.told(job)


def test_the_ledger_must_tell_of_a_spike(monkeypatch):
    line = {
        "step": 30,
        "outcome": "recomputed",
        "cause": "grad_norm_not_finite",
        "why": "grad_norm=nan is not finite, ...: a fault of the machine",
    }

    def missing(plant=NAN_GRADIENT, **changes):
        ledger = [{**line, **changes}]
        return lacks(plant, LAYOUTS[0], ledger=ledger, monkeypatch=monkeypatch)

    assert not missing()
    assert missing(step=31)
    assert missing(outcome="skipped")
    assert missing(cause="loss_not_finite")
    assert missing(why="and the same bits when it was computed again")
    assert missing(HUGE_WEIGHT)


def test_the_run_must_name_the_rank_of_a_wrong_bit(monkeypatch):
    def missing(wrong, layout, found=30, goes_on=20):
        words = (
            f"eisbach: error: step {found}: {wrong}, first in w; all were ...\n"
            f"eisbach run: x; starts again from step {goes_on} (restart 1 of 9)"
        )
        return lacks(WRONG_BIT, layout, words=words, monkeypatch=monkeypatch)

    three, two = Layout(3, 1, 1), Layout(2, 1, 1)
    alone = "rank 1 (a) holds other bits than its replicas on ranks 0 (a)"
    either = "ranks 0 (a), 1 (a) should hold the same bits and do not"
    assert not missing(alone, three)
    assert not missing(either, two)
    assert missing(either, three)
    assert missing(alone.replace("rank 1", "rank 2"), three)
    assert missing(either.replace("1 (a)", "3 (a)"), two)
    assert missing(alone, three, found=30 + HASH_EVERY)
    # A checkpoint that has the bit was gone on with.
    assert missing(alone, three, goes_on=30)
    assert lacks(WRONG_BIT, three, monkeypatch=monkeypatch)


DISK = """
import pathlib, sys
from torture.disk import filled, mount, unmount
place = pathlib.Path(sys.argv[1])
mount(place, 1 << 20)
(place / "a").write_bytes(bytes(1000))
with filled(place):
    try:
        (place / "b").write_bytes(bytes(1 << 16))
        sys.exit("there is room")
    except OSError as error:
        print(error.errno)
(place / "b").write_bytes(bytes(1 << 16))
unmount(place)
"""


def test_a_disk_is_full_for_a_while(repo, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", DISK, str(tmp_path)],
        cwd=repo / "scripts",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "28\n"), done.stderr
    assert not list(tmp_path.iterdir())  # nobody else has seen it
