"""Runs that are stopped: by a signal, by a rank that dies, by a NaN."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess

import pytest

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
    assert run.job.process.returncode == 128 + number, errors
    assert errors == f"eisbach: stopped by {number.name}\n"
    # All that was done is in a checkpoint.
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
    run = train("train.save_every=2")
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


@pytest.mark.mpi
@SIGNALS
def test_a_signal_to_mpirun_ends_all_ranks(train, number):
    run = train("parallel.tensor=2", ranks=2)
    run.wait_for_steps(3)
    run.job.process.send_signal(number)
    errors = run.check_failure()
    assert errors.count("eisbach: ") == 1, errors
    # mpirun ends the ranks by SIGTERM, whatever it got.
    assert "eisbach: stopped by SIGTERM\n" in errors


@pytest.mark.mpi
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("layout", ["pipeline", "tensor", "data"])
def test_a_rank_that_is_killed_takes_the_others_down(train, layout, which):
    run = train(f"parallel.{layout}=2", ranks=2)
    run.wait_for_steps(3)
    ranks = run.job.ranks()
    assert len(ranks) == 2
    os.kill(ranks[which], signal.SIGKILL)
    errors = run.check_failure()
    assert errors.count("signal 9 (Killed)") == 1, errors


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


def test_a_training_loop_is_short(repo):
    loop = (repo / "python" / "eisbach" / "training.py").read_text()
    assert loop.count("\n") < 150
