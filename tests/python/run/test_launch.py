"""`eisbach launch`, on one host and on several that are made up."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from eisbach.run.launch import launch
from eisbach.run.process import LAUNCHERS
from eisbach.run.statuses import HANG

LAUNCH = (sys.executable, "-m", "eisbach", "launch")
TRAIN = (sys.executable, "-m", "eisbach", "train", "configs/tiny.yaml")
ENDLESS = "train.steps=1000000"


def wait_for(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("script", "status", "told"),
    [
        ('echo 0 > "$EISBACH_END_FILE"', 0, ""),
        ("true", 1, "did not come to its end"),
        (
            'echo ready > "$EISBACH_END_FILE"',
            1,
            "did not come to its end",
        ),
        ("exit 7", 7, ""),
        ("kill -9 $$", 137, ""),
        ('echo hung >> "$EISBACH_END_FILE"; kill -9 $$', 76, ""),
    ],
)
def test_zero_is_believed_with_the_last_words_alone(
    tmp_path, capfd, script, status, told
):
    end_file = tmp_path / "end"
    end_file.write_text("of another job")
    command = ["bash", "-c", script]
    assert launch(command, end_file=end_file) == status
    errors = capfd.readouterr().err
    assert told in errors if told else not errors
    assert not end_file.exists()


# A launcher that passes on what mpirun passes on, and ends late.
FOREVER = "while true; do sleep 0.1; done"
READY = f'echo ready > "$EISBACH_END_FILE"; echo ready; {FOREVER}'
SLOW = f"trap 'echo asked' USR1; trap 'echo told; exit 1' TERM; {READY}"
QUICK = f"trap 'echo asked; exit 138' USR1; {READY}"
# One whose ranks have not come so far.
EARLY = (
    "trap 'echo asked' USR1; trap 'echo told; exit 1' TERM; "
    f"echo ready; {FOREVER}"
)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("script", "said"),
    [
        (QUICK, "asked\n"),
        (SLOW, "asked\ntold\n"),
        (EARLY, "told\n"),
    ],
)
def test_a_signal_asks_before_it_ends(tmp_path, number, script, said):
    job = subprocess.Popen(
        [*LAUNCH, "bash", "-c", script],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert job.stdout.readline() == "ready\n"
    try:
        job.send_signal(number)
        output, errors = job.communicate(timeout=60)
    finally:
        job.kill()
    assert (job.returncode, output) == (128 + number, said)
    name = signal.Signals(number).name
    assert errors == f"eisbach launch: stopped by {name}\n"
    assert not list(tmp_path.iterdir())


WAITS = "import time; print('here', flush=True); time.sleep(600)"


def test_mpirun_ends_with_a_launch_that_is_killed(tmp_path):
    script = f"trap 'touch ended; exit' TERM; echo $$; {FOREVER}"
    job = subprocess.Popen(
        [*LAUNCH, "bash", "-c", script],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    assert int(job.stdout.readline())
    job.kill()
    job.communicate(timeout=60)
    wait_for((tmp_path / "ended").exists)


def test_a_killed_launcher_leaves_no_files(tmp_path, monkeypatch):
    # As Open MPI names them.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    script = f"mkdir -p {tmp_path}/ompi.$$/0 {tmp_path}/ompi.1; kill -9 $$"
    assert launch(["bash", "-c", script], end_file=tmp_path / "end") == 137
    assert [path.name for path in tmp_path.iterdir()] == ["ompi.1"]


def test_the_files_of_another_mpirun_are_not_in_the_way(tmp_path, monkeypatch):
    # Of a killed one whose process number comes again.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "getpid", lambda: 4321)
    (tmp_path / "ompi.4321" / "0").mkdir(parents=True)
    mpirun = tmp_path / "mpirun"
    script = f"test ! -e {tmp_path}/ompi.4321 && exit 7"
    mpirun.write_text(f"#!/bin/sh\n{script}\n")
    mpirun.chmod(0o755)
    end = tmp_path / "end"
    assert launch([str(mpirun)], end_file=end) == 7


@pytest.mark.mpi
def test_ranks_that_are_not_ready_end_without_a_paragraph(launch_job):
    job = launch_job("-n", "2", sys.executable, "-c", WAITS)
    assert job.stdout.readline() == "here\n"
    job.send_signal(signal.SIGINT)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 128 + signal.SIGINT
    assert errors == "eisbach launch: stopped by SIGINT\n"


@pytest.mark.mpi
def test_all_ranks_stop_after_the_same_step(launch_job, tmp_path):
    job = launch_job("-n", "3", *TRAIN, ENDLESS, "train.global_batch=6")
    metrics = tmp_path / "runs" / "tiny" / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.stat().st_size)
    job.send_signal(signal.SIGINT)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 128 + signal.SIGINT, errors
    assert errors.count("eisbach launch: stopped by SIGINT") == 1
    state = json.loads((metrics.parent / "state.json").read_text())
    assert state["state"] == "stopped"
    steps = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert state["step"] == steps[-1]["step"] == len(steps)
    assert (metrics.parent / "loss.png").exists()


@pytest.mark.mpi
@pytest.mark.parametrize("everybody", [False, True])
def test_what_a_scheduler_sends_to_mpirun_stops_the_ranks(
    launch_job, tmp_path, everybody
):
    job = launch_job("-n", "2", *TRAIN, ENDLESS)
    folder = tmp_path / "runs" / "tiny"
    metrics = folder / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.stat().st_size)
    (mpirun,) = children(job.pid)
    for pid in [*children(mpirun), job.pid] if everybody else []:
        os.kill(pid, signal.SIGTERM)
    os.kill(mpirun, signal.SIGTERM)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 75, errors
    state = json.loads((folder / "state.json").read_text())
    assert state["state"] == "stopped"
    (checkpoint,) = (folder / "checkpoints").iterdir()
    assert checkpoint.name == f"step-{state['step']:08}"


def children(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(word) for path in tasks for word in path.read_text().split()]


@pytest.fixture
def environment(launch):
    """Of a job of `mpirun`."""
    return launch(ranks=2)[1]


@pytest.fixture
def launch_job(environment, repo, tmp_path):
    """Starts `eisbach launch mpirun ...`; what is left is killed."""
    jobs = []

    def start(*arguments, prefix=(), **options):
        beside = Path(sys.prefix, "bin", "mpirun")
        mpirun = str(beside) if beside.exists() else "mpirun"
        job = subprocess.Popen(
            [
                *prefix,
                *LAUNCH,
                f"--end-file={tmp_path / 'end'}",
                mpirun,
                *arguments,
                f"run.dir={tmp_path / 'runs'}",
            ],
            cwd=repo,
            env={**environment, **options},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        jobs.append(job)
        return job

    yield start
    for job in jobs:
        job.kill()
        job.communicate()


@pytest.fixture
def start_on(hosts, launch_job):
    """Starts a job of four ranks on both hosts, two on each."""

    def start(*overrides, command=TRAIN, options=()):
        return launch_job(
            "--prtemca", "plm_ssh_agent", str(hosts.agent),
            *options,
            "--host", "h1:2,h2:2", "-n", "4", *command, *overrides,
            prefix=hosts.on("h1"),
        )  # fmt: skip

    return start


@pytest.mark.mpi
def test_ranks_fill_host_after_host(start_on, tmp_path):
    job = start_on(
        "train.steps=2",
        "network.interface=net0",
        command=("eisbach", *TRAIN[3:]),
    )
    output, errors = job.communicate(timeout=120)
    assert job.returncode == 0, errors
    assert "4 ranks on 2 hosts" in output or "h2" in output, output
    state = json.loads((tmp_path / "runs/tiny/state.json").read_text())
    assert state == {"state": "finished", "step": 2, "exit_status": 0}


@pytest.mark.mpi
@pytest.mark.parametrize("loss", ["daemon", "host", "launcher"])
def test_a_lost_host_never_ends_with_0(hosts, start_on, tmp_path, loss):
    job = start_on(ENDLESS)
    metrics = tmp_path / "runs" / "tiny" / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.stat().st_size, 300)
    lost = {
        "daemon": hosts.pids("h2", "prted"),
        "host": hosts.pids("h2"),
        "launcher": [
            pid
            for pid in hosts.pids("h1")
            if Path(f"/proc/{pid}/comm").read_text().strip() in LAUNCHERS
        ],
    }[loss]
    assert lost
    for pid in lost:
        os.kill(pid, signal.SIGKILL)
    _, errors = job.communicate(timeout=150)
    assert job.returncode not in (0, -signal.SIGKILL), errors
    for name in hosts.names:
        wait_for(lambda name=name: not hosts.pids(name))


def test_a_launcher_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"^nosuch: cannot be .*mpirun -n 2"):
        launch(["nosuch", "x"], end_file=tmp_path / "end")


@pytest.mark.mpi
@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_a_host_without_an_answer_is_named(hosts, start_on, tmp_path, fault):
    folder = tmp_path / "runs" / "tiny"
    job = start_on(ENDLESS, "network.interface=net0", "fault.hang_seconds=3")
    metrics = folder / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.stat().st_size, 300)
    getattr(hosts, fault)("h2")
    _, errors = job.communicate(timeout=150)
    hosts.thaw("h2")
    # mpirun waits for its daemon on h2, and has to be killed.
    assert job.returncode == HANG, errors
    for name in hosts.names:
        wait_for(lambda name=name: not hosts.pids(name))
        assert not hosts.memory(name)
    lines = (folder / "hang.jsonl").read_text().splitlines()
    heads = [json.loads(line) for line in lines if '"event":"hang"' in line]
    # With a cable each side misses the other.
    missed = [(0, 1), (2, 3)] if fault == "cut" else [(2, 3)]
    assert (
        sorted(tuple(c["rank"] for c in head["culprits"]) for head in heads)
        == missed
    )
    causes = {c["cause"] for head in heads for c in head["culprits"]}
    assert causes == {"no answer"}
    assert "rank 2: its host, h2, gives no answer" in errors
