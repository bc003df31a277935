import signal
import subprocess
import sys

import pytest

# A command of eisbach that gets a signal when all that it did is done.
LATE = """
import atexit, os, signal, sys
atexit.register(os.kill, os.getpid(), signal.Signals[sys.argv.pop(1)])
from eisbach.cli import main
main()
"""
TRAIN = (
    "train",
    "model={layers: 1, hidden: 8, heads: 1, context: 8}",
    "train={steps: 1, global_batch: 1, micro_batch: 1, validate_every: 0}",
)


def late(name, *words, cwd):
    return subprocess.run(
        [sys.executable, "-c", LATE, name, *words],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    ).returncode


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM", "SIGINT", "SIGHUP"])
def test_a_launch_that_is_over_keeps_its_status(name, tmp_path):
    words = ("launch", "sh", "-c", "exit 3")
    assert late(name, *words, cwd=tmp_path) == 3


def test_a_supervised_run_that_is_over_keeps_its_status(tmp_path):
    job = (sys.executable, "-m", "eisbach", "train", "model.layers=0")
    assert late("SIGUSR1", "run", "--", *job, cwd=tmp_path) == 1


def test_training_that_is_over_keeps_its_status(tmp_path):
    assert late("SIGUSR1", *TRAIN, cwd=tmp_path) == 0
    assert late("SIGTERM", *TRAIN, cwd=tmp_path) == -signal.SIGTERM
