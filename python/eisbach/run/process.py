"""This process among the ranks of its job, before and without the core."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from typing import NoReturn

from eisbach.run.output import tell

# Set by Open MPI, PMIx launchers, MPICH and Slurm for each process.
_RANK_VARIABLES = (
    "OMPI_COMM_WORLD_RANK",
    "PMIX_RANK",
    "PMI_RANK",
    "SLURM_PROCID",
)


def launcher_rank() -> int:
    """Returns the rank that the launcher gave this process; 0 without one."""
    for name in _RANK_VARIABLES:
        if (value := os.environ.get(name, "")).isdigit():
            return int(value)
    return 0


def launched() -> bool:
    """Whether a launcher started this process as a rank."""
    return any(name in os.environ for name in _RANK_VARIABLES)


# Of the process that starts the ranks of its host, and prints what they print.
LAUNCHERS = ("mpirun", "mpiexec", "orterun", "prterun")


def launchers_pid() -> int:
    """The mpirun that this process is a child of; 0 for none."""
    parent = os.getppid()
    try:
        with open(f"/proc/{parent}/comm", encoding="utf-8") as comm:
            return parent if comm.read().strip() in LAUNCHERS else 0
    except OSError:
        return 0


def tell_at_end(line: str) -> None:
    """Prints a line on stderr while the launcher may be stopping.

    An mpirun that was told to stop forwards nothing any more. So the line goes
    to its stderr itself, where it is this process's parent.
    """
    text = f"{line}\n".encode()
    try:
        if not (parent := launchers_pid()):
            raise OSError
        stderr = os.open(f"/proc/{parent}/fd/2", os.O_WRONLY | os.O_APPEND)
        with os.fdopen(stderr, "wb", buffering=0) as stream:
            stream.write(text)
    except OSError:
        tell(line)


_failure: list[socket.socket] = []


def _failure_name() -> str:
    # An abstract one, which goes with the process that holds it.
    job = os.environ.get("PMIX_NAMESPACE") or os.getppid()
    return f"\0eisbach-{os.getuid()}-{job}-failed"


def announce_failure() -> None:
    """Lets the other ranks of this host know that this one ends the job.

    To end it, mpirun sends all ranks the signal by which users stop a job. This
    one stays for the moment until it is killed. Of the main thread.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # another rank has
        ear = socket.socket(socket.AF_UNIX)
        _failure.append(ear)
        ear.bind(_failure_name())
        ear.listen()


def failure_announced() -> bool:
    """Whether somebody else tells why the job ends.

    A rank of this host that ends it does, or mpirun, which has lost one.
    """
    core = sys.modules.get("eisbach._C")
    if core and (core.hang_found() or core.rank_gone()):
        return True
    with socket.socket(socket.AF_UNIX) as mouth:
        return mouth.connect_ex(_failure_name()) == 0


def abort(code: int) -> NoReturn:
    """Ends this process, and every rank where MPI runs."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    if core := sys.modules.get("eisbach._C"):
        core.abort(code)
    os._exit(code)
