"""What is written of a step that was not as it should be."""

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from eisbach.run.folder import RunFolder, read_lines
from eisbach.run.ledger import BadStep
from eisbach.run.reporter import Reporter


def result(step, **changes):
    facts = {
        "step": step,
        "loss": 9.5,
        "grad_norm": float("inf"),
        "skipped": False,
        "transient_fault": False,
        "cause": "",
        "why": "",
        "limit": 0.0,
        "median": 0.0,
        **changes,
    }
    return SimpleNamespace(**facts)


def test_a_good_step_has_no_line():
    assert BadStep.of(result(1), 8) is None


def test_samples_are_those_of_the_step(tmp_path):
    folder = RunFolder.create(tmp_path, "a")
    skipped = BadStep.of(
        result(
            3,
            skipped=True,
            cause="loss_spike",
            why="loss=9.5 is above 4.2",
            limit=4.2,
            median=3.0,
        ),
        8,
    )
    again = BadStep.of(
        result(7, transient_fault=True, cause="loss_not_finite", why="nan"), 8
    )
    with Reporter(folder, steps=9, first=0, log_every=1) as reporter:
        reporter.bad_step(skipped)
        reporter.bad_step(again)
    assert read_lines(folder.ledger) == [
        {
            "step": 3,
            "outcome": "skipped",
            "cause": "loss_spike",
            "why": "loss=9.5 is above 4.2",
            "first_sample": 16,
            "samples": 8,
            "loss": 9.5,
            "grad_norm": None,
            "limit": 4.2,
            "median": 3.0,
        },
        {
            "step": 7,
            "outcome": "recomputed",
            "cause": "loss_not_finite",
            "why": "nan",
            "first_sample": 48,
            "samples": 8,
            "loss": 9.5,
            "grad_norm": None,
            "limit": 0.0,
            "median": 0.0,
        },
    ]


def test_a_resumed_run_forgets_what_it_does_again(tmp_path):
    folder = RunFolder.create(tmp_path, "a")
    for first in (0, 4):
        with Reporter(folder, steps=9, first=first, log_every=1) as reporter:
            for step in (3, 5):
                if step > first:
                    reporter.bad_step(BadStep.of(result(step, skipped=True), 8))
        assert [line["step"] for line in read_lines(folder.ledger)] == [3, 5]


LAYOUTS = [
    pytest.param((), id="d1"),
    pytest.param(("parallel.data=2",), id="d2"),
    pytest.param(("parallel.tensor=2",), id="t2"),
    pytest.param(("parallel.pipeline=2",), id="p2"),
    pytest.param(("parallel.data=2", "parallel.tensor=2"), id="d2t2"),
]
SPIKES = ("fault.spike_window=4", "precision.compute=f32")


@pytest.fixture(scope="module")
def train(run, tmp_path_factory):
    """Trains configs/tiny.yaml with faults; the process and the run folder."""
    home = tmp_path_factory.mktemp("runs")

    def train(name, faults, *overrides):
        ranks = 1
        for override in overrides:
            if override.startswith("parallel."):
                ranks *= int(override.partition("=")[2])
        done = run(
            Path(__file__).with_name("planted.py"),
            json.dumps(faults),
            "train",
            "configs/tiny.yaml",
            f"run.dir={home}",
            f"run.name={name}",
            *SPIKES,
            *overrides,
            ranks=ranks,
        )
        return done, RunFolder(home / name)

    return train


def lines(folder):
    """What the steps gave, as text: NaN is not equal to itself."""
    names = ("step", "loss", "grad_norm", "learning_rate", "skipped")
    return [
        str([line[name] for name in names])
        for line in read_lines(folder.metrics)
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_job_skips_and_goes_on(train, request, layout):
    name = request.node.callspec.id
    faults = [{"step": 3, "factor": math.nan}, {"step": 7, "factor": 50}]
    done, folder = train(f"skip-{name}", faults, "fault.on_spike=skip", *layout)
    assert not done.returncode, done.stderr
    ledger = read_lines(folder.ledger)
    assert [(line["step"], line["cause"]) for line in ledger] == [
        (3, "loss_not_finite"),
        (7, "loss_spike"),
    ]
    assert [line["first_sample"] for line in ledger] == [16, 48]
    assert "skipped: loss=nan is not finite; samples 16 to 23" in done.stdout
    steps = read_lines(folder.metrics)
    assert [line["step"] for line in steps if line["skipped"]] == [3, 7]
    assert len(steps) == 10
    assert json.loads(folder.summary.read_text())["skipped_steps"] == 2


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_job_computes_a_bad_step_again(train, request, layout):
    name = request.node.callspec.id
    rerun = ("fault.on_spike=rerun", *layout)
    done, clean = train(f"clean-{name}", [], *rerun)
    assert not done.returncode, done.stderr
    faults = [{"step": 5, "factor": math.nan, "rank": 0, "transient": True}]
    done, folder = train(f"rerun-{name}", faults, *rerun)
    assert not done.returncode, done.stderr
    assert lines(folder) == lines(clean)
    (line,) = read_lines(folder.ledger)
    assert (line["step"], line["outcome"]) == (5, "recomputed")
    assert "a fault of the machine" in line["why"]
    assert f"computed again: {line['why']}" in done.stdout


def test_a_run_that_goes_on_skips_what_the_unbroken_one_does(train):
    """Also where the steps before are those of the run that was stopped."""
    faults = [{"step": 6, "factor": 50}, {"step": 8, "factor": 50}]
    skip = ("fault.on_spike=skip", "checkpoint.every_steps=6")
    done, whole = train("whole", faults, *skip)
    assert not done.returncode, done.stderr
    done, first = train("broken", faults, *skip)
    assert not done.returncode, done.stderr
    shutil.rmtree(first.saved()[10])
    done, folder = train("broken", faults, *skip, "--auto-resume")
    assert not done.returncode, done.stderr
    assert lines(folder) == lines(whole)
    assert read_lines(folder.ledger) == read_lines(whole.ledger)
    weights = "model/model.safetensors"
    assert (folder.path / weights).read_bytes() == (
        whole.path / weights
    ).read_bytes()


def test_a_spike_stops_a_job_where_it_is_told_to(train):
    done, folder = train(
        "stop",
        [{"step": 7, "factor": 50}],
        "fault.spike_deviations=10",
        "checkpoint.every_steps=3",
        "parallel.data=2",
    )
    assert done.returncode == 1
    assert "error: step 7: loss=" in done.stderr
    assert "fault.on_spike=skip" in done.stderr
    assert len(read_lines(folder.metrics)) == 6
    assert list(folder.saved()) == [3, 6]


def test_a_bit_that_differs_is_found_in_a_job(train):
    done, folder = train(
        "bits",
        [{"step": 5, "flips": True, "rank": 1}],
        "fault.hash_every=3",
        "checkpoint.every_steps=1",
        "checkpoint.keep=0",
        "parallel.data=4",
    )
    assert done.returncode == 1
    assert "step 6: rank 1 (" in done.stderr
    assert "holds other bits than its replicas on ranks 0 (" in done.stderr
    assert "all were equal after step 3" in done.stderr
    # What may be wrong is not gone on with.
    assert list(folder.saved()) == [1, 2, 3]
    assert (folder.checkpoints / "step-00000005.damaged").is_dir()
