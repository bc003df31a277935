"""This process among the ranks of its job, before and without the core."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

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


def abort(code: int) -> NoReturn:
    """Ends this process, and every rank where MPI runs."""
    sys.stdout.flush()
    sys.stderr.flush()
    if core := sys.modules.get("eisbach._C"):
        core.abort(code)
    os._exit(code)
