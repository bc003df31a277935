"""`eisbach run`: with a script that stands for a job, and with real ones."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eisbach.run.folder import RunFolder, read_lines
from eisbach.run.statuses import DO_NOT_REQUEUE, REQUEUE
from eisbach.run.supervise import MOST_CYCLES, supervise

# A job that has told its folder; `step N` is a checkpoint, `starts` how often
# it has been started.
JOB = """
cd {folder}
echo x >> starts; starts=$(wc -l < starts)
echo "$@" > words
step() {{ mkdir -p run/checkpoints/step-$1; }}
ready() {{ printf 'ready\\n{folder}/run\\n' > "$EISBACH_END_FILE"; }}
{body}
"""


@pytest.fixture
def job(tmp_path):
    """Makes the words of a job of a script."""

    def job(body, *arguments):
        script = JOB.format(folder=tmp_path, body=body)
        return ["bash", "-c", script, "eisbach", "train", *arguments]

    return job


@pytest.fixture
def run_job(job, tmp_path):
    """Supervises a script; returns the status and how often it started."""

    def run_job(body, *arguments, restarts=10):
        status = supervise(
            job(body, *arguments),
            restarts=restarts,
            end_file=tmp_path / "end",
            pause=0.0,
        )
        return status, (tmp_path / "starts").read_text().count("x")

    return run_job


ENDS = 'printf "0\\n" > "$EISBACH_END_FILE"; exit 0'


def test_a_fault_is_told_and_the_job_starts_again(run_job, tmp_path, capfd):
    body = f"ready; step $starts; [ $starts = 3 ] || kill -9 $$; {ENDS}"
    assert run_job(body, "my.yaml", "a.b=1") == (0, 3)
    words = "train my.yaml a.b=1 --auto-resume\n"
    assert (tmp_path / "words").read_text() == words
    errors = capfd.readouterr().err
    assert errors.splitlines() == [
        f"eisbach run: the launcher was killed by SIGKILL; starts again from "
        f"step {i} (restart {i} of 10)"
        for i in (1, 2)
    ]
    assert not (tmp_path / "end").exists()


# As Open MPI 5 does where it cannot log in.
ABSENT = """echo 'A daemon failed to report back after being spawned.'
echo '  Remote host:   h2'; exit 213"""


def test_what_the_launcher_says_on_stdout_is_heard_and_handed_on(
    run_job, capfd
):
    body = f"ready; step $starts; [ $starts = 2 ] || {{ {ABSENT}; }}; {ENDS}"
    assert run_job(body) == (0, 2)
    output, errors = capfd.readouterr()
    assert "no rank could be started on the host h2; starts again" in errors
    assert "Remote host:   h2\n" in output


@pytest.mark.parametrize("status", [0, 2, 75, 93, 129, 130])
def test_some_ends_are_the_end(run_job, status):
    body = f'ready; echo {status} > "$EISBACH_END_FILE"; exit {status}'
    assert run_job(body) == (status, 1)


def test_a_job_that_cannot_do_what_is_asked_is_not_asked_twice(run_job):
    body = 'echo refused > "$EISBACH_END_FILE"; exit 1'
    assert run_job(body) == (1, 1)


def test_a_refusal_after_a_fault_may_be_one_too(run_job):
    # Such as a folder that what is left of a lost host still holds.
    again = '[ $starts = 2 ] && { echo refused > "$EISBACH_END_FILE"; exit 1; }'
    body = f"{again}; ready; step $starts; [ $starts = 3 ] || exit 1; {ENDS}"
    assert run_job(body) == (0, 3)


def test_starts_without_progress_are_the_end(run_job, capfd):
    # Two are forgiven once a third has got further.
    body = (
        "ready; [ $starts = 4 ] || step 1; [ $starts != 3 ] || step 2; exit 9"
    )
    assert run_job(body) == (DO_NOT_REQUEUE, 3 + MOST_CYCLES)
    last = capfd.readouterr().err.splitlines()[-1]
    assert last == (
        "eisbach run: the launcher ended with 9; 3 starts did not get past "
        "step 2: gives up"
    )


def test_a_job_that_never_starts_is_given_up(run_job, capfd):
    assert run_job("exit 1") == (DO_NOT_REQUEUE, MOST_CYCLES)
    assert "3 starts did not get past its start" in capfd.readouterr().err


def test_restarts_are_counted(run_job, capfd):
    assert run_job("ready; step $starts; exit 7", restarts=2) == (7, 3)
    assert "no restart is left" in capfd.readouterr().err


def test_checkpoints_that_are_gone_are_not_started_over(run_job, capfd):
    body = "ready; step $starts; [ $starts != 2 ] || mv run elsewhere; exit 9"
    assert run_job(body) == (DO_NOT_REQUEUE, 2)
    assert "run are gone" in capfd.readouterr().err


def test_a_start_hears_of_those_that_came_to_nothing(run_job, tmp_path):
    body = (
        'echo "$EISBACH_SUPERVISED" > told; '
        f"ready; [ $starts = 3 ] || exit 9; step 1; {ENDS}"
    )
    assert run_job(body) == (0, 3)
    told = json.loads((tmp_path / "told").read_text())
    assert told["restart"] == 2
    assert [it["restart"] for it in told["untold"]] == [1]
    assert told["untold"][0]["cause"] == "the launcher ended with 9"


def test_restarts_are_lines_also_where_the_run_is_given_up(run_job, tmp_path):
    assert run_job("ready; mkdir -p run; exit 9")[0] == DO_NOT_REQUEUE
    lines = read_lines(tmp_path / "run" / "restarts.jsonl")
    assert [(it["restart"], it["status"]) for it in lines] == [(1, 9), (2, 9)]
    assert {it["step"] for it in lines} == {1}


def test_a_named_checkpoint_is_left_behind(run_job, tmp_path):
    body = f"ready; step $starts; [ $starts = 2 ] || exit 1; {ENDS}"
    assert run_job(body, "--resume", "run/checkpoints/step-5") == (0, 2)
    words = (tmp_path / "words").read_text()
    assert words == f"train --resume {tmp_path}/run\n"


RUN = (sys.executable, "-m", "eisbach", "run")
WAITS = "trap 'exit {status}' USR1; ready; while true; do sleep 0.05; done"


def wait_for(what):
    deadline = time.monotonic() + 300
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def start_run(job, tmp_path):
    """Starts `eisbach run` of a script in the background."""
    processes = []

    def start_run(body):
        command = [*RUN, f"--end-file={tmp_path}/end", "--", *job(body)]
        processes.append(subprocess.Popen(command, cwd=tmp_path))
        return processes[-1]

    yield start_run
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("number", "status", "shown"),
    [
        (signal.SIGTERM, REQUEUE, REQUEUE),
        (signal.SIGUSR1, REQUEUE, REQUEUE),
        (signal.SIGINT, REQUEUE, 130),  # a person wants it ended
        (signal.SIGTERM, 1, 143),  # nothing was saved
    ],
)
def test_a_signal_is_passed_on_and_ends_it(
    start_run, tmp_path, number, status, shown
):
    process = start_run(WAITS.format(status=status))
    wait_for((tmp_path / "end").exists)
    process.send_signal(number)
    assert process.wait(60) == shown
    assert (tmp_path / "starts").read_text() == "x\n"


def test_a_job_that_has_not_begun_loses_nothing_by_a_signal(
    start_run, tmp_path
):
    process = start_run("trap 'exit 1' TERM; while true; do sleep 0.05; done")
    wait_for((tmp_path / "words").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == REQUEUE


def alive(path):
    return [p for p in map(int, path.read_text().split()) if is_alive(p)]


def is_alive(pid):
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_what_a_killed_launcher_leaves_is_ended_before_a_restart(
    run_job, tmp_path
):
    body = (
        "ready; step $starts; "
        "[ $starts = 2 ] || { setsid bash -c 'echo $$ > left; exec sleep 600' "
        f"& while [ ! -s left ]; do sleep 0.02; done; kill -9 $$; }}; "
        f"kill -0 $(cat left) 2>/dev/null && touch survived; {ENDS}"
    )
    assert run_job(body) == (0, 2)
    assert not alive(tmp_path / "left")
    assert not (tmp_path / "survived").exists()


@pytest.mark.mpi
def test_a_killed_rank_costs_no_step(launch, tmp_path):
    """Losses and weights are those of a run that nobody broke."""
    train = (
        *("-m", "eisbach", "train", "configs/tiny.yaml", "train.steps=40"),
        *(
            "checkpoint.every_steps=4",
            f"run.dir={tmp_path}",
            "checkpoint.keep=0",
        ),
    )
    command, environment, cwd = launch(*train, "run.name=whole", ranks=2)
    whole = subprocess.run(
        command, env=environment, cwd=cwd, capture_output=True, check=False
    )
    assert whole.returncode == 0, whole.stderr
    command, *_ = launch(*train, "run.name=broken", ranks=2)
    process = subprocess.Popen(
        [*RUN, f"--end-file={tmp_path}/end", "--", *command],
        env={**environment, "EISBACH_BROKEN": str(tmp_path)},
        cwd=cwd,
        stderr=subprocess.PIPE,
        text=True,
    )
    folder = RunFolder(tmp_path / "broken")
    wait_for(lambda: len(folder.saved()) >= 2)
    os.kill(rank_of(process.pid, 1), signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "was killed by SIGKILL; starts again from step" in errors
    (restart,) = read_lines(folder.restarts)
    assert restart["status"] == 137
    assert restart["seconds_to_step"] > 0
    result = json.loads(folder.summary.read_text())
    assert result["restarts"]["count"] == 1
    for name in ("loss", "grad_norm", "tokens"):
        assert column(folder, name) == column(
            RunFolder(tmp_path / "whole"), name
        )
    assert weights(folder) == weights(RunFolder(tmp_path / "whole"))


def test_a_run_that_saved_nothing_starts_over_in_its_folder(launch, tmp_path):
    command, environment, cwd = launch(
        *("-m", "eisbach", "train", "configs/tiny.yaml", "train.steps=1000"),
        *(f"run.dir={tmp_path}/runs", "checkpoint.every_minutes=0"),
    )
    process = subprocess.Popen(
        [*RUN, f"--end-file={tmp_path}/end", "--", *command],
        env=environment,
        cwd=cwd,
        stderr=subprocess.PIPE,
        text=True,
    )
    folder = RunFolder(tmp_path / "runs" / "tiny")
    wait_for(lambda: folder.metrics.exists() and read_lines(folder.metrics))
    for pid in children(process.pid):
        os.kill(pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "starts again from step 0" in errors
    assert [path.name for path in folder.path.parent.iterdir()] == ["tiny"]
    steps = [line["step"] for line in read_lines(folder.metrics)]
    assert steps == list(range(1, 1001))
    (restart,) = read_lines(folder.restarts)
    assert restart["step"] == 1


def children(pid):
    return map(
        int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    )


def column(folder, name):
    return [(line["step"], line[name]) for line in read_lines(folder.metrics)]


def weights(folder):
    return (folder.model / "model.safetensors").read_bytes()


def rank_of(ancestor, rank):
    """The process of a rank of a job."""
    mark = f"OMPI_COMM_WORLD_RANK={rank}".encode()
    for entry in Path("/proc").iterdir():
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in environment and descends(int(entry.name), ancestor):
            return int(entry.name)
    raise AssertionError(rank)


def descends(pid, ancestor):
    while pid not in (0, ancestor):
        text = Path(f"/proc/{pid}/stat").read_text()
        pid = int(text.rpartition(")")[2].split()[1])
    return pid == ancestor


@pytest.mark.mpi
def test_a_host_that_failed_twice_is_left_out(hosts, launch, tmp_path):
    (python, *train), environment, cwd = launch(
        *("-m", "eisbach", "train", "configs/tiny.yaml", "train.steps=400"),
        *("checkpoint.every_steps=4", "train.validate_every=0"),
        f"run.dir={tmp_path}/runs",
    )
    beside = Path(sys.prefix, "bin", "mpirun")
    process = subprocess.Popen(
        [
            *(*hosts.on("h1"), *RUN, f"--end-file={tmp_path}/end", "--"),
            *(str(beside) if beside.exists() else "mpirun", "-n", "4"),
            *("--prtemca", "plm_ssh_agent", str(hosts.agent)),
            *("--host", "h1:2,h2:2", "-x", "OMP_NUM_THREADS", python, *train),
        ],
        env=environment,
        cwd=cwd,
        stderr=subprocess.PIPE,
        text=True,
    )
    folder = RunFolder(tmp_path / "runs" / "tiny")
    try:
        # Open MPI does not always say of which host a fault was.
        for fault in range(6):
            wait_for(lambda fault=fault: has_restarted(folder, fault))
            left = hosts.pids("h2", "-m\0eisbach\0train")
            if fault >= 2 and not left:
                break
            os.kill(left[-1], signal.SIGKILL)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "h2 has failed 2 times and is left out: 2 ranks on h1" in errors
    restarts = read_lines(folder.restarts)
    ranks = [restart["ranks"] for restart in restarts]
    assert len(ranks) >= 2
    assert ranks == [4] * (len(ranks) - 1) + [2]
    steps = [line["step"] for line in read_lines(folder.metrics)]
    assert steps == list(range(1, 401))


def has_restarted(folder, times):
    """Whether the start after a number of faults has saved something."""
    restarts = read_lines(folder.restarts)
    step = restarts[-1]["step"] if restarts else 0
    return len(restarts) == times and max(folder.saved(), default=0) > step
