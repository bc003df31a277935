"""Finds programs, runs them and tells the most memory that one of them held."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

_CODE = (
    "import json, resource, subprocess, sys\n"
    "done = subprocess.run(json.loads(sys.argv[1]), capture_output=True,"
    " text=True)\n"
    "usage = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
    "print(json.dumps([done.returncode, done.stdout, done.stderr,"
    " usage.ru_maxrss * 1024]))\n"
)


def program(name: str) -> str:
    """The path of a program: beside this Python, or else where PATH has it.

    An environment need not be activated for that. Ends this program with a line
    where there is none.
    """
    here = Path(sys.executable).parent
    path = os.pathsep.join((str(here), os.environ.get("PATH", os.defpath)))
    found = shutil.which(name, path=path)
    if found is None:
        sys.exit(
            f"{sys.argv[0]}: no program {name} in {here} or in PATH; run it by "
            "the Python of an environment that has eisbach, as "
            ".venv/bin/python after scripts/setup.sh"
        )
    return found


def on_ranks(ranks: int, *options: str) -> list[str]:
    """What stands before a command so that it runs on so many ranks.

    Whoever is root may start them, as in an environment that is activated.

    Args:
      ranks: How many; one needs nothing.
      options: Of mpirun.
    """
    if ranks == 1:
        return []
    if os.geteuid() == 0:
        os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT", "1")
        os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    return [program("mpirun"), "-n", str(ranks), *options]


def peak_of(command: list[str]) -> tuple[str, int]:
    """Runs a command; returns its output and the peak bytes of one process."""
    done = subprocess.run(
        [sys.executable, "-c", _CODE, json.dumps(command)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    status, output, errors, peak = json.loads(done.stdout)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed:\n{output}{errors}")
    return output, peak
