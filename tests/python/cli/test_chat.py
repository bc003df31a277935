import os
import pty
import select
import subprocess
import time

import pytest

_OPTIONS = ("--template", "chatml", "--temperature", "0", "--tokens", "5")


@pytest.fixture(scope="module")
def folder(trainer):
    done, folder = trainer("model.context=200", "train.steps=2")("talks")
    assert not done.returncode, done.stderr
    return folder


@pytest.fixture(scope="module")
def talk(launch, folder):
    """Sends lines to `eisbach chat`; returns how it ended."""

    def talk(lines, *options, ranks=1):
        command, environment, cwd = launch(
            "-m", "eisbach", "chat", folder, *options, ranks=ranks
        )
        return subprocess.run(
            command, input=lines, env=environment, cwd=cwd, text=True,
            capture_output=True, check=False, timeout=600,
        )  # fmt: skip

    return talk


def test_each_line_of_a_pipe_is_answered(talk):
    done = talk("hi\n\nyou\n/reset\nhi\n", *_OPTIONS)
    assert not done.returncode, done.stderr
    alone = talk("hi", *_OPTIONS)
    assert alone.stdout
    assert done.stdout.startswith(alone.stdout)
    # After /reset it answers as it did at first.
    assert done.stdout.endswith(alone.stdout)
    assert len(done.stdout) > 2 * len(alone.stdout)


@pytest.mark.mpi
def test_ranks_answer_together(talk):
    alone = talk("hi\nyou\n/exit\nmore\n", "precision.compute=f32", *_OPTIONS)
    assert not alone.returncode, alone.stderr
    both = talk(
        "hi\nyou\n/exit\nmore\n", "precision.compute=f32", *_OPTIONS, ranks=2
    )
    assert both.stdout == alone.stdout, both.stderr


def test_what_does_not_fit_ends_a_pipe(talk):
    done = talk("x" * 200 + "\n", *_OPTIONS)
    assert done.returncode == 1
    assert "/reset begins a new one" in done.stderr


def test_a_line_that_is_no_text_is_named(launch, folder):
    command, environment, cwd = launch(
        "-m", "eisbach", "chat", folder, *_OPTIONS
    )
    done = subprocess.run(
        command, input=b"hi\na\xffb\n", env=environment, cwd=cwd,
        capture_output=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "eisbach: error: standard input: a\\xffb: not UTF-8 at byte 1 of the "
        "line\n"
    )


def test_a_model_without_a_template(talk):
    done = talk("hi\n", "--tokens", "5")
    assert done.returncode == 1
    assert "--template" in done.stderr


def test_a_terminal_is_asked_and_ctrl_c_does_not_end_it(launch, folder):
    command, environment, cwd = launch(
        "-m", "eisbach", "chat", folder, *_OPTIONS, "run.threads=1"
    )
    ours, theirs = pty.openpty()
    environment["TERM"] = "dumb"
    process = subprocess.Popen(
        command, env=environment, cwd=cwd, stdin=theirs, stdout=theirs,
        stderr=theirs, start_new_session=True,
        preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(theirs)
    assert b"/reset forgets" in _until(ours, b"> ")
    # One that comes between the prompt and the wait for keys is noticed late.
    assert b"/reset forgets" in _until(ours, b"> ", keys=b"\x03", again=True)
    _until(ours, b"> ", keys=b"hi\n")
    os.write(ours, b"/exit\n")
    assert process.wait(timeout=300) == 0
    os.close(ours)


def _take_terminal():
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _until(terminal, sign, *, keys=b"", again=False):
    """Sends keys, and reads until there is a sign."""
    shown = b""
    end = time.monotonic() + 300
    os.write(terminal, keys)
    while sign not in shown:
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 10)[0]:
            shown += os.read(terminal, 4096)
        elif again:
            os.write(terminal, keys)
    return shown
