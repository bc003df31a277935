import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from dataclasses import replace

import pytest

from eisbach.run.ledger import BadStep
from eisbach.run.metrics import StepMetrics, ValidationMetrics
from eisbach.run.output import Output
from eisbach.run.progress import (
    Progress,
    Terminal,
    compact,
    duration,
    find_terminal,
)


def metrics(step, skipped=False):
    return StepMetrics(
        step,
        2.5,
        1.0,
        3e-4,
        512.0,
        skipped,
        64 * step,
        60,
        1234.5,
        0.1,
        0.2,
        99,
        0.05,
        0.01,
        0.0,
        0.04,
    )


@pytest.fixture
def terminal():
    """A terminal of its own, and how to read what it shows."""
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    with open(slave, "w") as stream:
        yield stream, lambda: os.read(master, 1 << 20).decode()
    os.close(master)


def test_a_pipe_gets_plain_lines():
    stream = io.StringIO()
    progress = Progress(steps=7, log_every=3, stream=stream)
    for step in range(1, 8):
        progress.step(metrics(step))
    progress.validation(ValidationMetrics(7, 2.0, 2.885))
    progress.close()
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines[:-1]] == [
        "1/7", "3/7", "6/7", "7/7",
    ]  # fmt: skip
    assert "loss 2.5000" in lines[0]
    assert "1,234 tok/s" in lines[0]
    assert lines[-1].endswith("loss 2.0000  2.8850 bits per byte")
    assert "\x1b" not in stream.getvalue()


def test_a_skipped_step_is_told():
    stream = io.StringIO()
    progress = Progress(steps=7, log_every=7, stream=stream)
    skipped = BadStep(
        step=3,
        outcome="skipped",
        cause="gradient_overflow",
        why="gradient overflow at loss scale 512, halved",
        first_sample=16,
        samples=8,
        loss=2.5,
        grad_norm=float("inf"),
        limit=0.0,
        median=0.0,
    )
    again = replace(
        skipped, step=4, outcome="recomputed", why="loss=nan is not finite"
    )
    for step in range(1, 5):
        for bad in (skipped, again):
            if bad.step == step:
                progress.bad_step(bad)
        progress.step(metrics(step, skipped=step == 3))
    progress.close()
    lines = stream.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["1/7", "3/7", "4/7"]
    assert lines[1].endswith(
        "skipped: gradient overflow at loss scale 512, halved; samples 16 to "
        "23 change nothing"
    )
    assert lines[2].endswith("computed again: loss=nan is not finite")


def test_a_terminal_gets_a_bar_too(terminal):
    stream, shown = terminal
    progress = Progress(steps=4, first=2, log_every=1, stream=stream)
    progress.step(metrics(3))
    progress.say("a [line]")
    progress.step(metrics(4))
    progress.close()
    progress.close()
    text = shown()
    assert "4/4" in text
    assert "a [line]" in text
    assert "tok/s" in text


@pytest.mark.parametrize("steps", [9, 9_999, 10_000_000])
def test_the_longest_line_fits_80_columns(steps):
    stream = io.StringIO()
    progress = Progress(steps=steps, log_every=1, stream=stream)
    progress._start -= 37.5 * 3600  # hours are left
    worst = replace(
        metrics(steps // 2, skipped=True),
        loss=10.3751,
        grad_norm=123456.0,
        loss_scale=2.0**24,
        tokens_per_second=123_456_789.0,
    )
    progress.step(worst)
    progress.validation(ValidationMetrics(steps, 10.3751, 12.3456))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 80, lines


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (12.3, "12"),
        (2129, "2,129"),
        (57_768, "57.8k"),
        (999_499, "999k"),
        (999_999, "1.0M"),
        (1_234_567, "1.2M"),
        (123_456_789, "123M"),
        (2.5e12, "2e+12"),
    ],
)
def test_counts_are_short(count, text):
    assert compact(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0s"),
        (59, "59s"),
        (61, "1m01s"),
        (3599.6, "1h00m"),
        (7320, "2h02m"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


RANK = """
import os, sys
from eisbach.run.progress import find_terminal
print("found", find_terminal(sys.stdout), flush=True)
"""


@pytest.mark.mpi
@pytest.mark.parametrize("pipe_between", [False, True])
def test_under_mpirun_its_own_output_decides(launch, terminal, pipe_between):
    command, environment, cwd = launch("-c", RANK, ranks=2)
    if pipe_between:  # ranks whose output is no terminal of mpirun's making
        at = command.index(sys.executable)
        command[at:] = ["sh", "-c", 'exec "$@" | cat', "sh", *command[at:]]
    stream, shown = terminal
    options = {"env": environment, "cwd": cwd, "stderr": subprocess.PIPE}
    done = subprocess.run(command, stdout=stream, check=True, **options)
    assert shown().count("found Terminal(columns=80)") == 2, done.stderr
    done = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, text=True, **options
    )
    assert done.stdout.count("found None") == 2


def test_a_terminal_of_its_own_says_how_wide_it_is(terminal):
    stream, _ = terminal
    size = struct.pack("HHHH", 24, 100, 0, 0)
    fcntl.ioctl(stream, termios.TIOCSWINSZ, size)
    with Output(stream) as output:
        assert find_terminal(output) == Terminal(columns=100)


def test_a_file_is_no_terminal(tmp_path):
    with open(tmp_path / "out", "w") as stream:
        assert find_terminal(stream) is None
