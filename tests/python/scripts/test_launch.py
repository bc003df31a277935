"""The SLURM template, with programs that stand for those of a cluster."""

import os
import signal
import subprocess
import time

import pytest


@pytest.fixture
def submit(repo, tmp_path):
    """Starts the template; `launch` is what stands for `eisbach launch`."""
    tools = tmp_path / ".venv" / "bin"
    tools.mkdir(parents=True)
    (tools / "activate").write_text("")

    def program(name, text):
        path = tools / name
        path.write_text(f"#!/usr/bin/env bash\n{text}\n")
        path.chmod(0o755)

    def submit(launch, **settings):
        program("scontrol", f'echo "$@" >> {tmp_path}/requeued')
        program("eisbach", f'echo "$@" > {tmp_path}/launched\n{launch}')
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


STOPS = """trap 'sleep 0.3; exit {status}' {signal}
touch ready
while true; do sleep 0.05; done"""


def test_a_job_starts_and_its_status_is_the_runs(submit, tmp_path):
    assert submit("exit 3").wait(120) == 3
    words = (tmp_path / "launched").read_text().split()
    assert words[:4] == ["launch", "mpirun", "-n", "4"]
    assert words[-4:] == ["train", "my.yaml", "run.device=cuda", "a.b=1"]
    assert submit("exit 0", SLURM_RESTART_COUNT="2").wait(120) == 0
    assert (tmp_path / "launched").read_text().split()[-1] == "--auto-resume"
    assert not (tmp_path / "requeued").exists()


@pytest.mark.parametrize(
    ("number", "status", "requeued"),
    [(signal.SIGUSR1, 138, True), (signal.SIGTERM, 143, False)],
)
def test_time_that_is_over_queues_it_again(
    submit, tmp_path, number, status, requeued
):
    name = number.name.removeprefix("SIG")
    job = submit(STOPS.format(status=status, signal=name))
    wait_for(tmp_path / "ready")
    job.send_signal(number)
    assert job.wait(120) == status
    assert (tmp_path / "requeued").exists() == requeued
    if requeued:
        assert (tmp_path / "requeued").read_text() == "requeue 77\n"
