"""Jobs that hang, are late or call something else on purpose: named."""

import json
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
from hosts.freezer import Freezer

pytestmark = pytest.mark.mpi

HANG_STATUS = 76
TINY = (
    "configs/tiny.yaml",
    "run.log_every=1000",
    "train.validate_every=0",
    "train.steps=1000000",
    "fault.hang_seconds=2",
)
# Rank {rank} does `{what}` after its third step.
STUCK = """\
import ctypes, os, threading
from eisbach import _C
from eisbach.cli import main
from eisbach.run.collector import Collector

def keeps_the_lock_of_python():
    while True:  # a signal ends a sleep
        ctypes.PyDLL(None).sleep(3600)

def waits_for_a_lock():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

def leaves_a_call_out():
    _C.init().barrier()

collect = Collector.but
steps = 0

def but(self, lag):
    global steps
    steps += 1
    collect(self, lag)
    if steps == 3 and os.environ["OMPI_COMM_WORLD_RANK"] == "{rank}":
        {what}()

Collector.but = but
main()
"""
# Rank 0 is slow where the others wait for long.
SLOW = """\
import os, time
from eisbach import _C, training
from eisbach.cli import main
from eisbach.run import saving

def slowly(phase, function):
    def call(job, *arguments):
        with _C.phase(job.world, phase):
            if job.world.rank == 0:
                time.sleep(5)
            return function(job, *arguments)
    return call

saving.begin_save = slowly("save", saving.begin_save)
training._validate = slowly("validation", training._validate)
main()
"""

# Rank 1 keeps the others waiting in steps 31 to 70.
LATE = """\
import os, time
from eisbach.cli import main
from eisbach.run.collector import Collector

collect = Collector.but
steps = 0

def but(self, lag):
    global steps
    steps += 1
    if 30 < steps <= 70 and os.environ["OMPI_COMM_WORLD_RANK"] == "1":
        time.sleep(0.05)
    collect(self, lag)

Collector.but = but
main()
"""
# After the third step rank 1 calls something, and the others may.
ODD = """\
from eisbach import _C
from eisbach.cli import main
from eisbach.run.collector import Collector

collect = Collector.but
steps = 0

def but(self, lag):
    global steps
    steps += 1
    collect(self, lag)
    if steps == 3:
        world = _C.init()
        if world.rank == 1:
            world.barrier()
        elif {others}:
            world.largest(steps)

Collector.but = but
main()
"""


@pytest.fixture
def hang(start, tmp_path):
    """Starts a job that trains, by a script of its own where one is given."""

    def hang(*arguments, ranks, script=None):
        command = ("-m", "eisbach")
        if script:
            path = tmp_path / "script.py"
            path.write_text(script)
            command = (path,)
        job = start(
            *command,
            "train",
            *TINY,
            f"run.dir={tmp_path}",
            "run.name=run",
            *arguments,
            ranks=ranks,
        )
        return job, tmp_path / "run"

    return hang


def wait_for_steps(job, folder, steps):
    def done():
        metrics = folder / "metrics.jsonl"
        return metrics.exists() and metrics.read_text().count("\n") >= steps

    job.wait_for(done)


def rank_of(pid):
    with open(f"/proc/{pid}/environ", "rb") as environment:
        for line in environment.read().split(b"\0"):
            if line.startswith(b"OMPI_COMM_WORLD_RANK="):
                return int(line.partition(b"=")[2])
    raise AssertionError(pid)


def check(job, folder, seconds=2):
    """What holds for each hang; returns stderr, first culprit, ranks."""
    errors = job.check_failure()
    assert job.process.returncode == HANG_STATUS, errors
    told = f"the job hangs: no progress for {seconds} s"
    assert errors.count(told) == 1, errors
    assert "stopped by SIGTERM" not in errors
    lines = (folder / "hang.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    (head,) = (line for line in told if line["event"] == "hang")
    ranks = {line["rank"]: line for line in told if line["event"] == "rank"}
    assert sorted(ranks) == list(range(head["ranks"]))
    first = head["culprits"][0]
    assert first["words"] in errors
    return errors, first, ranks


@pytest.mark.parametrize("which", [0, 1])
def test_a_rank_that_is_stopped_is_named(hang, which):
    job, folder = hang(ranks=4)
    wait_for_steps(job, folder, 3)
    (stopped,) = (pid for pid in job.ranks() if rank_of(pid) == which)
    os.kill(stopped, signal.SIGSTOP)
    _, first, ranks = check(job, folder)
    assert (first["rank"], first["cause"]) == (which, "stopped")
    assert first["pid"] == stopped
    # The last two where a slow machine has its links measured just then.
    ops = ("all_reduce", "all_gather", "exchange", "barrier")
    assert first["op"] in ops
    assert first["number"] > 0
    assert ranks[which]["standing"] == "stopped"
    for rank, line in ranks.items():
        assert ("in _loop" in line.get("stack", "")) == (rank != which)


@pytest.fixture
def freezer():
    try:
        made = Freezer(f"eisbach-test-{os.getpid()}")
    except OSError as error:
        pytest.fail(f"no control group of its own (they need root): {error}")
    yield made
    made.remove()


def test_a_rank_that_is_frozen_by_a_control_group_is_named(hang, freezer):
    # Above the three seconds after which nothing but that explains its silence.
    job, folder = hang("fault.hang_seconds=4", ranks=2)
    wait_for_steps(job, folder, 3)
    (frozen,) = (pid for pid in job.ranks() if rank_of(pid) == 1)
    freezer.freeze([frozen])
    _, first, ranks = check(job, folder, seconds=4)
    assert (first["rank"], first["cause"]) == (1, "frozen")
    assert ranks[1]["standing"] == "frozen"


@pytest.mark.parametrize(
    ("stuck", "layout"),
    [("keeps_the_lock_of_python", "data"), ("waits_for_a_lock", "pipeline")],
)
def test_a_rank_that_runs_elsewhere_shows_where(hang, stuck, layout):
    job, folder = hang(
        f"parallel.{layout}=2",
        ranks=2,
        script=STUCK.format(rank=1, what=stuck),
    )
    wait_for_steps(job, folder, 1)
    errors, first, ranks = check(job, folder)
    assert (first["rank"], first["cause"]) == (1, "elsewhere")
    assert (first["phase"], first["step"]) == ("step", 3)
    assert f"in {stuck}" in ranks[1]["stack"]
    assert f"in {stuck}" in errors


def test_a_call_that_is_left_out_is_named_with_both_sides(hang, monkeypatch):
    monkeypatch.setenv("EISBACH_TRANSPORT", "mpi")
    job, folder = hang(
        "train.global_batch=6",
        ranks=3,
        script=STUCK.format(rank=2, what="leaves_a_call_out"),
    )
    wait_for_steps(job, folder, 1)
    _, first, _ = check(job, folder)
    assert (first["rank"], first["cause"]) == (2, "another call")
    assert (first["op"], first["instead_op"]) == ("all_reduce", "barrier")


@pytest.mark.parametrize("transport", ["shm", "mpi"])
def test_calls_that_differ_are_an_error_of_every_rank(
    hang, monkeypatch, transport
):
    monkeypatch.setenv("EISBACH_TRANSPORT", transport)
    job, folder = hang(
        "train.global_batch=6",
        "fault.check_collectives=true",
        "fault.hang_seconds=600",  # a busy machine is no hang
        ranks=3,
        script=ODD.format(others=True),
    )
    _, errors = job.process.communicate(timeout=600)
    assert job.process.returncode not in (0, HANG_STATUS), errors
    assert "ranks of a group disagree: rank 1 calls barrier; " in errors
    assert "ranks 0 and 2 call all_reduce (max) of 1 i32" in errors
    assert not (folder / "hang.jsonl").exists()


def test_calls_that_never_meet_are_named_at_once_where_they_are_checked(hang):
    job, folder = hang(
        "parallel.pipeline=2",
        "fault.check_collectives=true",
        "fault.hang_seconds=1000000",
        ranks=2,
        script=ODD.format(others=False),
    )
    _, errors = job.process.communicate(timeout=600)
    assert job.process.returncode == HANG_STATUS, errors
    assert "in calls that differ (fault.check_collectives)" in errors
    lines = (folder / "hang.jsonl").read_text().splitlines()
    culprits = json.loads(lines[0])["culprits"]
    assert {one["cause"] for one in culprits} == {"another call"}
    assert {one["op"] for one in culprits} == {"exchange", "barrier"}


def straggler_lines(folder):
    metrics = folder / "metrics.jsonl"
    if not metrics.exists():
        return []
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [line for line in lines if line["straggler_rank"] is not None]


def test_a_rank_that_is_late_is_named_and_forgiven(run, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(LATE)
    done = run(
        script,
        "train",
        *TINY,
        "fault.straggler_steps=10",
        "train.steps=120",
        f"run.dir={tmp_path}",
        "run.name=run",
        ranks=2,
    )
    assert done.returncode == 0, done.stderr
    slow = re.search(
        r"rank 1 \(\S+\) is slow since step \d+: the host's other work takes "
        r"0\.\d+ s, where it took \S+ s before; it holds each step up by 0\.\d",
        done.stdout,
    )
    assert slow, done.stdout
    over = re.search(r"rank 1 \(\S+\) is no longer slow since", done.stdout)
    assert over
    assert over.start() > slow.end()
    late = [
        line
        for line in straggler_lines(tmp_path / "run")
        if line["straggler_part"] == "host"
    ]
    assert late[0]["straggler_rank"] == 1
    assert late[0]["straggler_seconds"] >= 0.04


def test_a_rank_whose_core_is_taken_is_named_with_what_it_computes(hang):
    job, folder = hang(
        "fault.straggler_steps=10",
        "fault.hang_seconds=60",
        "model.hidden=256",
        "model.layers=4",
        "train.global_batch=64",
        ranks=2,
    )
    wait_for_steps(job, folder, 3)
    (slow,) = (pid for pid in job.ranks() if rank_of(pid) == 1)
    taken = threading.Event()

    def take_core():
        while not taken.wait(0.02):
            os.kill(slow, signal.SIGSTOP)
            time.sleep(0.03)
            os.kill(slow, signal.SIGCONT)

    thread = threading.Thread(target=take_core)
    thread.start()
    try:
        job.wait_for(
            lambda: any(
                line["straggler_rank"] == 1
                and line["straggler_part"] in ("forward", "backward")
                for line in straggler_lines(folder)
            )
        )
    finally:
        taken.set()
        thread.join()
    job.process.terminate()
    said, errors = job.process.communicate(timeout=600)
    assert re.search(r"rank 1 \(\S+\) is slow since step", said), errors


def test_what_takes_long_for_good_reason_is_no_hang(run, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SLOW)
    done = run(
        script,
        "train",
        *TINY,
        "train.steps=300",
        "checkpoint.every_steps=200",
        "train.validate_every=250",
        f"run.dir={tmp_path}",
        "run.name=run",
        ranks=2,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run/metrics.jsonl").read_text().count("\n") == 300
    assert not (tmp_path / "run/hang.jsonl").exists()


def test_a_rank_alone_is_not_watched(eisbach, tmp_path):
    done = eisbach(
        "train",
        "configs/tiny.yaml",
        "train.steps=2",
        "fault.hang_seconds=0.001",
        f"run.dir={tmp_path}",
    )
    assert done.returncode == 0, done.stderr
