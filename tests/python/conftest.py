"""Fixtures that every folder of tests shares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the source tree."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def eisbach(repo):
    """Runs the command `eisbach` in the root of the source tree."""

    def run(*arguments, **options) -> subprocess.CompletedProcess[str]:
        options = {"cwd": repo, "timeout": 300, **options}
        return subprocess.run(
            [sys.executable, "-m", "eisbach", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    return run
