"""The SLURM template, with programs that stand for those of a cluster."""

import os
import signal
import subprocess
import time

import pytest


@pytest.fixture
def submit(repo, tmp_path):
    """Starts the template; `run` is what stands for `eisbach run`."""
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    (tools / "activate").write_text("")

    def program(name, text):
        path = tools / name
        path.write_text(f"#!/usr/bin/env bash\n{text}\n")
        path.chmod(0o755)

    def submit(run, *, state="RUNNING", **settings):
        program("scontrol", f'echo "$@" >> {tmp_path}/requeued')
        program("squeue", f'echo "$@" > {tmp_path}/asked; echo {state}')
        program("eisbach", f'echo "$@" > {tmp_path}/launched\n{run}')
        environment = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "EISBACH_HOME": str(tmp_path),
            "SLURM_NTASKS": "4",
            "SLURM_NTASKS_PER_NODE": "2",
            "SLURM_JOB_ID": "77",
            **settings,
        }
        return subprocess.Popen(
            ["bash", repo / "scripts/launch/slurm.sbatch", "my.yaml", "a.b=1"],
            env=environment,
        )

    return submit


def wait_for(path):
    end = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("status", [0, 3, 93])
def test_a_job_starts_and_its_status_is_the_runs(submit, tmp_path, status):
    assert submit(f"exit {status}").wait(120) == status
    words = (tmp_path / "launched").read_text().split()
    assert words[0] == "run"
    assert words[words.index("--") + 1 :][:3] == ["mpirun", "-n", "4"]
    assert words[-4:] == ["train", "my.yaml", "run.device=cuda", "a.b=1"]
    assert not (tmp_path / "requeued").exists()


def test_a_job_that_asks_for_it_is_queued_again(submit, tmp_path):
    assert submit("exit 75").wait(120) == 75  # by run.hours, say
    assert (tmp_path / "requeued").read_text() == "requeue 77\n"
    assert "--job=77" in (tmp_path / "asked").read_text()


STOPS = """trap 'sleep 0.3; exit {status}' {signal}
touch ready
while true; do sleep 0.05; done"""


@pytest.mark.parametrize(
    ("number", "status", "state", "requeued"),
    [
        (signal.SIGUSR1, 75, "RUNNING", True),
        (signal.SIGTERM, 75, "RUNNING", True),
        (signal.SIGTERM, 75, "COMPLETING", False),  # scancel
        (signal.SIGTERM, 75, "", False),
        (signal.SIGUSR1, 1, "RUNNING", True),  # no room for a checkpoint
        (signal.SIGUSR1, 93, "RUNNING", False),
        (signal.SIGUSR1, 0, "RUNNING", False),
    ],
)
def test_time_that_is_over_queues_it_again(
    submit, tmp_path, number, status, state, requeued
):
    name = number.name.removeprefix("SIG")
    job = submit(STOPS.format(status=status, signal=name), state=state)
    wait_for(tmp_path / "ready")
    job.send_signal(number)
    assert job.wait(120) == status
    assert (tmp_path / "requeued").exists() == requeued
