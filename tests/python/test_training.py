"""Runs that are stopped: by a signal, by a rank that dies, by a NaN."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

LONG = ("train.steps=100000", "train.validate_every=0", "run.log_every=1000000")


class Run:
    """A run in the background, and what is left of it at its end."""

    def __init__(self, command, environment, cwd, folder):
        self.folder = folder
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def steps(self) -> int:
        metrics = self.folder / "metrics.jsonl"
        return (
            len(metrics.read_text().split("\n")) - 1 if metrics.exists() else 0
        )

    def wait_for_steps(self, count: int) -> None:
        deadline = time.monotonic() + 120
        while self.steps() < count:
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def ranks(self) -> list[int]:
        """The processes that train, mpirun apart."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            words = command.split(b"\0")
            if str(self.folder.parent).encode() in command and (
                b"mpirun" not in words[0] and b"prte" not in words[0]
            ):
                found.append(int(entry.name))
        return sorted(found)

    def end(self) -> tuple[int, str, float]:
        """Waits; returns the exit code, stderr and the seconds it took."""
        start = time.monotonic()
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors, time.monotonic() - start


@pytest.fixture
def start(launch, tmp_path):
    started = []

    def start(*overrides, ranks=1):
        command, environment, cwd = launch(
            "-m",
            "eisbach",
            "train",
            "configs/tiny.yaml",
            f"run.dir={tmp_path / 'runs'}",
            *LONG,
            *overrides,
            ranks=ranks,
        )
        run = Run(command, environment, cwd, tmp_path / "runs" / "tiny")
        started.append(run)
        return run

    yield start
    for run in started:
        run.process.kill()
        for rank in run.ranks():
            os.kill(rank, signal.SIGKILL)


def check_end(run, memory_before):
    """What holds however a run ends before its time."""
    code, errors, seconds = run.end()
    assert code != 0
    assert seconds < 10, errors
    deadline = time.monotonic() + 5
    while run.ranks() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not run.ranks()
    lines = (run.folder / "metrics.jsonl").read_text().split("\n")
    steps = [json.loads(line)["step"] for line in lines[:-1]]
    assert steps == list(range(1, len(steps) + 1))
    assert set(os.listdir("/dev/shm")) <= memory_before
    return errors


@pytest.fixture
def shared_memory():
    return set(os.listdir("/dev/shm"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_rank_between_steps(start, shared_memory, number):
    run = start()
    run.wait_for_steps(3)
    run.process.send_signal(number)
    errors = check_end(run, shared_memory)
    assert run.process.returncode == 128 + number
    assert errors == f"eisbach: stopped by {number.name}\n"
    assert (run.folder / "loss.png").exists()


@pytest.mark.mpi
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_ranks(start, shared_memory, number):
    run = start("parallel.tensor=2", ranks=2)
    run.wait_for_steps(3)
    run.process.send_signal(number)
    check_end(run, shared_memory)


@pytest.mark.mpi
@pytest.mark.parametrize("which", [0, 1])
def test_a_rank_that_is_killed_takes_the_others_down(
    start, shared_memory, which
):
    run = start("parallel.pipeline=2", ranks=2)
    run.wait_for_steps(3)
    ranks = run.ranks()
    assert len(ranks) == 2
    os.kill(ranks[which], signal.SIGKILL)
    check_end(run, shared_memory)


@pytest.mark.mpi
def test_a_loss_that_is_not_finite_is_told_once(start, shared_memory):
    run = start(
        "optimizer.lr=1e30",
        "optimizer.warmup_steps=0",
        "optimizer.clip_grad_norm=0",
        ranks=2,
    )
    errors = check_end(run, shared_memory)
    told = [s for s in errors.split("\n") if s.startswith("eisbach: error")]
    assert len(told) == 1, errors
    assert "at step " in told[0]
    assert "rank " in told[0]


def test_a_training_loop_is_short(repo):
    loop = (repo / "python" / "eisbach" / "training.py").read_text()
    assert loop.count("\n") < 150
