"""This process among the ranks of its job, before and without the core."""

from __future__ import annotations

import contextlib
import os
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
_LAUNCHERS = ("mpirun", "mpiexec", "orterun", "prterun")


def launchers_pid() -> int:
    """The mpirun that this process is a child of; 0 for none."""
    parent = os.getppid()
    try:
        with open(f"/proc/{parent}/comm", encoding="utf-8") as comm:
            return parent if comm.read().strip() in _LAUNCHERS else 0
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


def abort(code: int) -> NoReturn:
    """Ends this process, and every rank where MPI runs."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    if core := sys.modules.get("eisbach._C"):
        core.abort(code)
    os._exit(code)
