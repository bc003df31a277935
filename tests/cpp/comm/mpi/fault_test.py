"""Runs mpi_fault_program and checks how a job with a fault ends.

    python fault_test.py MPIRUN PROGRAM FAULT

Whatever happens, the job ends within seconds with a non-zero code and leaves
neither a process nor shared memory behind.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RANKS = 3
LIMIT_S = 300.0  # from the fault on; takes seconds on an idle machine

# The exit code of mpirun, and what its output says exactly once, as a pattern.
EXPECTED = {
    "nothing": (0, None),
    "kill": (137, "signal 9"),
    "terminate": (143, "signal 15"),
    "exit": (3, None),  # set-up has taken away what mpirun says of it
    "abort": (5, "rank 1 cannot go on"),
    "hang": (76, r"rank 1 \(.*\) runs and does not go on"),
    "stopped": (76, r"rank 1 \(.*\) is stopped by"),
    "terminate_mpirun": (None, None),
    "kill_mpirun": (None, None),
    "nccl_error": (
        1,
        # The call sees it, or the watchdog does first.
        r'there was a network error in (a call|all_reduce) on "world" '
        r"\(rank 1 of 3\): a fault was planted",
    ),
    "nccl_refuses": (1, r'in all_reduce on "world" \(rank 1 of 3\)'),
    "nccl_sticks": (1, "NCCL does not abort"),
}
# Faults that the double of NCCL makes (tests/support/cuda/nccl_double.cc).
PLANTED = {
    "nccl_error": "1:20",
    "nccl_refuses": "1:20:now",
    "nccl_sticks": "1:20:stuck",
}


def alive(pid: int) -> bool:
    """Whether `pid` runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def pids_in(output: str) -> list[int]:
    """The process ids that the ranks print."""
    lines = [
        line for line in output.splitlines() if line.startswith("world of")
    ]
    return [int(line.rsplit(" ", 1)[1]) for line in lines]


def wait_for_ranks(log: Path) -> None:
    """Returns when every rank has printed its line."""
    deadline = time.monotonic() + 600
    while len(pids_in(log.read_text())) < RANKS:
        if time.monotonic() > deadline:
            sys.exit(f"the job did not start:\n{log.read_text()}")
        time.sleep(0.05)


def main() -> None:
    mpirun, program, fault = sys.argv[1:]
    code, text = EXPECTED[fault]
    with tempfile.TemporaryDirectory() as folder:
        log, segments = Path(folder, "log"), Path(folder, "segments")
        segments.mkdir()
        environment = dict(os.environ)
        environment["OMPI_MCA_btl_sm_backing_directory"] = str(segments)
        if fault in PLANTED:
            environment["EISBACH_NCCL_DOUBLE_FAIL"] = PLANTED[fault]
        command = [mpirun, "--allow-run-as-root", "--oversubscribe"]
        command += ["--bind-to", "none", "-np", str(RANKS), program]
        command += ["stop" if fault.endswith("_mpirun") else fault]
        with log.open("w") as out:
            job = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, env=environment
            )
        wait_for_ranks(log)
        start = time.monotonic()
        if fault == "terminate_mpirun":
            job.send_signal(signal.SIGTERM)
        elif fault == "kill_mpirun":
            job.kill()
        try:
            ended = job.wait(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            job.terminate()
            sys.exit(f"{fault}: the job goes on:\n{log.read_text()}")
        output = log.read_text()
        while any(alive(pid) for pid in pids_in(output)):
            if time.monotonic() - start > LIMIT_S:
                left = [pid for pid in pids_in(output) if alive(pid)]
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                sys.exit(f"{fault}: processes {left} were left:\n{output}")
            time.sleep(0.05)
        if (code is not None and ended != code) or (
            code is None and ended == 0
        ):
            sys.exit(f"{fault}: code {ended} instead of {code}:\n{output}")
        if text is not None and len(re.findall(text, output)) != 1:
            sys.exit(f'{fault}: not once "{text}" in:\n{output}')
        # Nobody is left to clean up for ranks that MPI itself ends.
        left_files = list(segments.iterdir())
        if left_files and fault != "kill_mpirun":
            sys.exit(f"{fault}: left {left_files}")
    print(f"{fault}: ended with {ended} in {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
