"""Runs that are stopped, and what must not stop one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from eisbach.run.comparison import read_run
from eisbach.run.statuses import stopped_by

LONG = ("train.steps=100000", "train.validate_every=0", "run.log_every=1000000")


class Run:
    """A training run in the background."""

    def __init__(self, job, folder):
        self.job = job
        self.folder = folder

    def steps(self) -> int:
        metrics = self.folder / "metrics.jsonl"
        return metrics.read_text().count("\n") if metrics.exists() else 0

    def wait_for_steps(self, count: int) -> None:
        self.job.wait_for(lambda: self.steps() >= count)

    def check_failure(self) -> str:
        """The job is gone, the metrics are there; returns stderr."""
        told = self.steps()
        errors = self.job.check_failure()
        lines = (self.folder / "metrics.jsonl").read_text().split("\n")
        assert lines.pop() == ""
        steps = [json.loads(line)["step"] for line in lines]
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) >= told
        return errors


@pytest.fixture
def train(start, tmp_path):
    """Starts a long run of configs/tiny.yaml."""

    def train(*overrides, ranks=1) -> Run:
        folder = tmp_path / "runs"
        job = start(
            "-m",
            "eisbach",
            "train",
            "configs/tiny.yaml",
            f"run.dir={folder}",
            *LONG,
            *overrides,
            ranks=ranks,
        )
        return Run(job, folder / "tiny")

    return train


SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@SIGNALS
def test_a_signal_ends_a_rank_between_steps(train, number):
    run = train()
    run.wait_for_steps(3)
    run.job.process.send_signal(number)
    errors = run.check_failure()
    assert run.job.process.returncode == stopped_by(number), errors
    assert errors == f"eisbach: stopped by {number.name}\n"
    # All that was done is in a checkpoint.
    (checkpoint,) = (run.folder / "checkpoints").iterdir()
    assert checkpoint.name == f"step-{run.steps():08}"


def test_a_run_keeps_its_own_time_limit(train):
    run = train("run.hours=1e-6")
    errors = run.check_failure()
    assert run.job.process.returncode == stopped_by(signal.SIGALRM) == 75
    assert errors == "eisbach: stopped: its time is over (run.hours)\n"
    (checkpoint,) = (run.folder / "checkpoints").iterdir()
    assert checkpoint.name == f"step-{run.steps():08}"


IN_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def test_a_terminal_that_is_lost_stops_a_run(launch, tmp_path):
    ours, theirs = os.openpty()
    command, environment, cwd = launch(
        *("-c", IN_A_TERMINAL, "-m", "eisbach", "train", "configs/tiny.yaml"),
        *(f"run.dir={tmp_path}", *LONG),
    )
    process = subprocess.Popen(
        command,
        **dict.fromkeys(("stdin", "stdout", "stderr"), theirs),
        env={**environment, "TERM": "xterm"},
        cwd=cwd,
    )
    os.close(theirs)
    folder = tmp_path / "tiny"
    while b"3/100000" not in os.read(ours, 1 << 16):
        assert process.poll() is None
    os.close(ours)
    assert process.wait(60) == 128 + signal.SIGHUP
    (checkpoint,) = (folder / "checkpoints").iterdir()
    steps = (folder / "metrics.jsonl").read_text().count("\n")
    assert checkpoint.name == f"step-{steps:08}"


def test_a_run_has_one_process_that_writes(train, eisbach):
    run = train("checkpoint.every_steps=2")
    run.wait_for_steps(3)
    (pid,) = run.job.ranks()
    for _ in range(2):
        done = eisbach("train", "--resume", run.folder)
        assert done.returncode == 1
        (told,) = done.stderr.splitlines()
        assert re.match(
            rf"eisbach: error: {run.folder} is in use by process {pid} on "
            ".*: wait for its end, or stop it with `kill",
            told,
        )
    run.job.process.send_signal(signal.SIGTERM)
    run.check_failure()
    done = eisbach(
        "train", "--resume", run.folder, f"train.steps={run.steps() + 1}"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "ranks", [1, pytest.param(2, marks=pytest.mark.mpi)], ids=str
)
@pytest.mark.parametrize("saves", [0, 1])
def test_a_run_folder_that_is_moved_ends_the_run(train, tmp_path, ranks, saves):
    run = train(f"checkpoint.every_steps={saves}", ranks=ranks)
    run.wait_for_steps(3)
    moved = run.folder.rename(tmp_path / "moved")
    errors = run.job.check_failure()
    assert run.job.process.returncode == 1
    (told,) = (s for s in errors.splitlines() if "eisbach: error: " in s)
    assert f"{run.folder}: the run folder was moved to {moved} while" in told
    assert (f"--resume {moved}" in told) == bool(saves)
    assert not run.folder.exists()
    state = json.loads((moved / "state.json").read_text())
    assert (state["state"], state["exit_status"]) == ("failed", 1)


def test_a_run_folder_that_is_deleted_ends_the_run(train):
    run = train("checkpoint.every_steps=1")
    run.wait_for_steps(3)
    shutil.rmtree(run.folder, ignore_errors=True)
    errors = run.job.check_failure()
    assert run.job.process.returncode == 1
    assert errors.count("eisbach: error: ") == 1
    assert "was deleted while the run wrote" in errors
    assert not run.folder.exists() or not (run.folder / "config.yaml").exists()


@pytest.mark.mpi
@SIGNALS
def test_a_signal_to_mpirun_ends_all_ranks(train, number):
    run = train("parallel.tensor=2", ranks=2)
    run.wait_for_steps(3)
    run.job.process.send_signal(number)
    errors = run.check_failure()
    assert errors.count("eisbach: ") == 1, errors
    # mpirun ends the ranks by SIGTERM, whatever it got.
    assert "eisbach: stopped by SIGTERM (what mpirun makes of" in errors


@pytest.mark.mpi
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("layout", ["pipeline", "tensor", "data", "context"])
def test_a_rank_that_is_killed_takes_the_others_down(train, layout, which):
    run = train(f"parallel.{layout}=2", ranks=2)
    run.wait_for_steps(3)
    ranks = run.job.ranks()
    assert len(ranks) == 2
    os.kill(ranks[which], signal.SIGKILL)
    errors = run.check_failure()
    assert errors.count("signal 9 (Killed)") == 1, errors
    assert "stopped by" not in errors  # as nobody has


@pytest.mark.parametrize(
    "ranks", [1, pytest.param(2, marks=pytest.mark.mpi)], ids=str
)
def test_a_loss_that_is_not_finite_is_told_once(train, ranks):
    run = train(
        "optimizer.lr=1e30",
        "optimizer.warmup_steps=0",
        "optimizer.clip_grad_norm=0",
        ranks=ranks,
    )
    run.job.wait_for(lambda: run.steps() >= 1)
    errors = run.check_failure()
    assert errors.count("eisbach: error: ") == 1, errors
    (told,) = (s for s in errors.split("\n") if "eisbach: error: " in s)
    assert re.search(
        "(loss|grad_norm)=(nan|inf) .*at step [0-9]+: rank [01]: the first "
        "tensor with NaN or infinity is the [a-z]+ .*blocks[.]",
        told,
    )


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_checkpoint_that_cannot_be_written_costs_nothing_else(
    run, tmp_path, ranks
):
    code = (
        "import sys; from pathlib import Path\n"
        "import eisbach.run.saving as saving\n"
        "begin_save = saving.begin_save\n"
        "def patched(job):\n"
        "    in_the_way = job.folder.checkpoints\n"
        "    if job.world.rank == 0: in_the_way.write_text('a file')\n"
        "    job.world.barrier()\n"
        "    begin_save(job)\n"
        "saving.begin_save = patched\n"
        "from eisbach.cli import main; main()\n"
    )
    done = run(
        *("-c", code, "train", "configs/tiny.yaml", f"run.dir={tmp_path}"),
        *("train.steps=3", "checkpoint.every_steps=2", "data.validation=none"),
        ranks=ranks,
    )
    assert done.returncode != 0
    for step in (2, 3):
        warning = f"eisbach: warning: no checkpoint of step {step}: "
        assert done.stderr.count(warning) == 1, done.stderr
    assert done.stderr.count("eisbach: error: ") == 1, done.stderr
    assert (tmp_path / "tiny" / "model" / "config.json").exists()
    metrics = (tmp_path / "tiny" / "metrics.jsonl").read_text()
    assert metrics.count("\n") == 3
    state = json.loads((tmp_path / "tiny" / "state.json").read_text())
    assert state == {"state": "failed", "step": 3, "exit_status": 1}
    assert read_run(tmp_path / "tiny").state == "failed"


FAILING = """
import sys
from eisbach.cli import main

def fail(*_, **__):
    raise RuntimeError("it fails")

import eisbach.run.events, eisbach.run.progress, eisbach.run.reporter
import eisbach.training
eisbach.run.events.EventWriter.write = fail
eisbach.run.progress.Progress.step = fail
eisbach.run.reporter.plot_folder = fail
eisbach.training.continuation = fail
eisbach.run.closing.spell = fail
main()
"""


def test_what_is_only_shown_may_fail(run, tmp_path):
    done = run(
        *("-c", FAILING, "train", "configs/tiny.yaml", "train.steps=2"),
        *(f"run.dir={tmp_path}", "data.validation=none"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        f"eisbach: warning: {what} is left out from here on: RuntimeError: "
        "it fails"
        for what in (
            "tensorboard/",
            "progress",
            "the sample",
            "the shares of time",
            "loss.png",
        )
    ]
    folder = tmp_path / "tiny"
    assert (folder / "model" / "config.json").exists()
    assert json.loads((folder / "summary.json").read_text())["steps"] == 2
    assert (folder / "metrics.jsonl").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("shell", "warns"),
    [
        ('"$@" > /dev/full', "No space left on device"),
        ('"$@" >&- <&-', ""),
        ('PYTHONIOENCODING=ascii "$@" | head -n 1', "Broken pipe"),
    ],
    ids=["full", "closed", "gone"],
)
def test_nobody_needs_to_read_what_a_run_prints(launch, tmp_path, shell, warns):
    command, environment, cwd = launch(
        *("-m", "eisbach", "train", "configs/tiny.yaml", "train.steps=3"),
        *(f"run.dir={tmp_path}", "data.validation=none"),
    )
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell, "bash", *command],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=cwd,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    warning = "eisbach: warning: standard output is left out from here on: "
    assert done.stderr == (f"{warning}{warns}\n" if warns else "")
    assert (tmp_path / "tiny" / "summary.json").exists()


def test_a_training_loop_is_short(repo):
    loop = (repo / "python" / "eisbach" / "training.py").read_text()
    assert loop.count("\n") < 150
