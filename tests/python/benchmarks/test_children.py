"""Benchmarks find their programs where no environment is activated."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
sys.path.insert(0, "benchmarks")
from children import on_ranks, program
print(program("eisbach"))
print(*on_ranks(2))
print(on_ranks(1))
program("no-such-program")
"""


@pytest.fixture
def done(repo):
    return subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=repo,
        env={**os.environ, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_programs_are_beside_the_python_that_runs(done):
    here = Path(sys.executable).parent
    assert done.stdout.splitlines() == [
        str(here / "eisbach"),
        f"{here / 'mpirun'} -n 2",
        "[]",
    ]


def test_one_that_is_missing_is_told_in_a_line(done):
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "no program no-such-program in" in line
    assert str(Path(sys.executable).parent) in line
