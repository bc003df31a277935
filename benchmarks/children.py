"""Runs programs and tells the most memory that one of them held."""

import json
import subprocess
import sys

_CODE = (
    "import json, resource, subprocess, sys\n"
    "done = subprocess.run(json.loads(sys.argv[1]), capture_output=True,"
    " text=True)\n"
    "usage = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
    "print(json.dumps([done.returncode, done.stdout, done.stderr,"
    " usage.ru_maxrss * 1024]))\n"
)


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
