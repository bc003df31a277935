import os
import signal
import subprocess
import sys
import time

import pytest

from eisbach.run.signals import SignalWatch, urgent

LOOP = """
import sys, time
from eisbach.run.signals import SignalWatch
with SignalWatch({watch}) as watch:
    print("ready", flush=True)
    {before}
    while not watch.received:
        {work}
    {closing}
sys.exit(128 + watch.received)
"""


def stop(
    work: str,
    number: int,
    closing: str = "pass",
    before: str = "pass",
    watch: str = "grace_seconds=1.0, closing_seconds=3.0",
    **environment,
):
    """Sends a signal to a loop; returns exit code, stderr and seconds."""
    parts = {
        "work": work, "closing": closing, "before": before, "watch": watch,
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", LOOP.format(**parts)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)  # now it works
    start = time.monotonic()
    try:
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    return process.returncode, errors, time.monotonic() - start


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]
)
def test_the_loop_ends_between_steps(number):
    code, errors, seconds = stop("time.sleep(0.05)", number)
    assert code == 128 + number
    assert errors == f"eisbach: stopped by {signal.Signals(number).name}\n"
    assert seconds < 10


def test_a_step_that_never_ends_is_ended():
    # Like a wait in the core: in C, without the interpreter's lock, and no
    # signal ends it. A mutex that is locked twice:
    work = (
        "import ctypes; lock = ctypes.CDLL(None).pthread_mutex_lock; "
        "mutex = ctypes.create_string_buffer(64); lock(mutex); lock(mutex)"
    )
    code, errors, seconds = stop(work, signal.SIGTERM)
    assert code == 128 + signal.SIGTERM
    assert errors.splitlines() == [
        "eisbach: stopped by SIGTERM",
        "eisbach: rank 0: SIGTERM, and no step ended within 1 s",
    ]
    assert seconds > 0.9


def test_a_stderr_that_is_gone_keeps_nobody():
    # As after a terminal was lost, which is what SIGHUP says.
    work = "sys.stderr = open('/dev/full', 'w'); time.sleep(60)"
    code, _, seconds = stop(work, signal.SIGHUP)
    assert code == 128 + signal.SIGHUP
    assert seconds < 60


def test_some_signals_leave_little_time():
    assert all(urgent(n) for n in (signal.SIGINT, signal.SIGTERM))
    assert not any(urgent(n) for n in (0, signal.SIGUSR1, signal.SIGALRM))


def test_closing_has_its_own_time():
    # The loop has ended; what follows takes longer than a step may.
    code, _, seconds = stop(
        "time.sleep(0.05)",
        signal.SIGTERM,
        closing="watch.loop_ended(); time.sleep(2)",
    )
    assert code == 128 + signal.SIGTERM
    assert seconds > 1.9


def test_closing_that_never_ends_is_ended():
    code, _, seconds = stop(
        "time.sleep(0.05)",
        signal.SIGTERM,
        closing="watch.loop_ended(); time.sleep(60)",
    )
    assert code == 128 + signal.SIGTERM
    assert seconds > 2.9


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


def test_sigusr1_leaves_all_the_time_that_a_step_takes():
    code, errors, seconds = stop("time.sleep(2.5)", signal.SIGUSR1)
    assert code == 128 + signal.SIGUSR1
    assert errors == "eisbach: stopped by SIGUSR1\n"
    assert seconds > 2


def test_whoever_launched_it_says_how_long_that_may_be():
    code, errors, _ = stop(
        "time.sleep(60)", signal.SIGTERM, watch="", EISBACH_GRACE="1.6"
    )
    assert code == 128 + signal.SIGTERM
    assert errors.endswith("and no step ended within 0.6 s\n")


def test_its_own_time_limit_stops_it_like_a_patient_signal():
    code, errors, _ = stop(
        "time.sleep(0.05)", signal.SIGCONT, before="watch.end_after(0.5)"
    )
    assert code == 128 + signal.SIGALRM
    assert errors == "eisbach: stopped: its time is over (run.hours)\n"


ONE = """
import os, signal, time
from eisbach.run.signals import SignalWatch
asked = []
{before}
with SignalWatch(grace_seconds=60, closing_seconds=60) as watch:
    {inside}
"""


def run(inside: str, before: str = "pass") -> str:
    done = subprocess.run(
        [sys.executable, "-c", ONE.format(inside=inside, before=before)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize("first", ["watch", "signal"])
def test_a_signal_asks_whenever_it_comes(first):
    watch = "watch.on_signal(lambda: asked.append(1))"
    raised = "os.kill(os.getpid(), signal.SIGTERM)"
    lines = [watch, raised] if first == "watch" else [raised, watch]
    until = {raised: "not watch.received", watch: "False"}
    body = "; ".join(lines[:1])
    body += f"\n    while {until[lines[0]]}: time.sleep(0.01)"
    body += f"\n    {lines[1]}"
    body += "\n    while not asked: time.sleep(0.01)"
    assert run(body + "\n    print(asked)") == "[1]\n"


def test_one_that_must_end_the_process_outdoes_one_that_asks():
    body = (
        "os.kill(os.getpid(), signal.SIGUSR1)\n"
        "    while not watch.received: time.sleep(0.01)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    while watch.received != signal.SIGTERM: time.sleep(0.01)\n"
        "    print(128 + watch.received)"
    )
    assert run(body) == "143\n"


def test_what_nohup_ignores_stays_ignored():
    body = (
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    while not watch.received: time.sleep(0.01)\n"
        "    print(watch.received.name)"
    )
    before = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert run(body, before) == "SIGTERM\n"


def test_a_fork_has_its_own_signals():
    body = (
        "child = os.fork()\n"
        "    if not child: time.sleep(60); os._exit(0)\n"
        "    os.kill(child, signal.SIGTERM)\n"
        "    print(os.waitpid(child, 0)[1], watch.received)"
    )
    assert run(body) == f"{int(signal.SIGTERM)} None\n"


TRAIN = """
import os, signal, subprocess, sys, time
import numpy as np, eisbach
from eisbach.run.signals import SignalWatch

def losses(steps=15):
    config = eisbach.make_config(
        model={"layers": 2, "hidden": 64, "heads": 4, "context": 32},
        train={"steps": steps, "global_batch": 8, "micro_batch": 1},
        precision={"compute": "f32"})
    engine = eisbach.Engine(
        eisbach.engine_config(config),
        eisbach.ParallelContext(world, eisbach.make_mesh(config, 1)))
    random, found = np.random.default_rng(0), []
    for _ in range(steps):
        ids = random.integers(0, 256, (8, 33)).astype(np.int32)
        batch = eisbach.Batch(ids[:, :-1], ids[:, 1:], world.device)
        found.append(engine.step(batch).loss)
    return found

with SignalWatch() as watch:
    world = eisbach.init(device="cpu")
    quiet = losses()
    many = "while kill -USR1 $0 2>/dev/null; do sleep 0.002; done"
    shots = subprocess.Popen(["bash", "-c", many, str(os.getpid())])
    while not watch.received: time.sleep(0.01)
    shot_at = losses()
    shots.kill()
    shots.wait()
    print(quiet == shot_at)
"""


def test_signals_change_nothing_in_a_step():
    # A handler that runs within a kernel corrupts memory, on this thread or
    # on another one that computes.
    done = subprocess.run(
        [sys.executable, "-c", TRAIN],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
