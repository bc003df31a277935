import os
import signal
import subprocess
import sys
import time

import pytest

from eisbach.run.signals import SignalWatch

LOOP = """
import sys, time
from eisbach.run.signals import SignalWatch
with SignalWatch(grace_seconds=1.0, closing_seconds=3.0) as watch:
    print("ready", flush=True)
    while not watch.received:
        {work}
    {closing}
sys.exit(watch.exit_code)
"""


def stop(work: str, number: int, closing: str = "pass", **environment):
    """Sends a signal to a loop; returns exit code, stderr and seconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOOP.format(work=work, closing=closing)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)  # now it works
    start = time.monotonic()
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    return process.returncode, errors, time.monotonic() - start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_loop_ends_between_steps(number):
    code, errors, seconds = stop("time.sleep(0.05)", number)
    assert code == 128 + number
    assert errors == f"eisbach: stopped by {signal.Signals(number).name}\n"
    assert seconds < 0.9


def test_a_step_that_never_ends_is_ended():
    # Like a wait in the core: in C, without the interpreter's lock, and no
    # signal ends it. A mutex that is locked twice:
    work = (
        "import ctypes; lock = ctypes.CDLL(None).pthread_mutex_lock; "
        "mutex = ctypes.create_string_buffer(64); lock(mutex); lock(mutex)"
    )
    code, errors, seconds = stop(work, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert errors == "eisbach: stopped by SIGTERM\n"
    assert 0.9 < seconds < 5


def test_closing_has_its_own_time():
    # The loop has ended; what follows takes longer than a step may.
    code, _, seconds = stop(
        "time.sleep(0.05)",
        signal.SIGTERM,
        closing="watch.loop_ended(); time.sleep(2)",
    )
    assert code == 128 + signal.SIGTERM
    assert 1.9 < seconds < 5


def test_closing_that_never_ends_is_ended():
    code, _, seconds = stop(
        "time.sleep(0.05)",
        signal.SIGTERM,
        closing="watch.loop_ended(); time.sleep(60)",
    )
    assert code == 128 + signal.SIGTERM
    assert 2.9 < seconds < 10


def test_only_rank_0_says_so():
    code, errors, _ = stop(
        "time.sleep(0.05)", signal.SIGTERM, OMPI_COMM_WORLD_RANK="1"
    )
    assert (code, errors) == (128 + signal.SIGTERM, "")


def test_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with SignalWatch() as watch:
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    assert watch.received is None
