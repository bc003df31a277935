import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def check(repo, tmp_path):
    """Runs the check on a copy of the stubs."""
    for part in ("scripts/generate_stubs.py", "python/eisbach/_C"):
        copy = tmp_path / part
        copy.parent.mkdir(parents=True)
        if (repo / part).is_dir():
            shutil.copytree(repo / part, copy)
        else:
            shutil.copy(repo / part, copy)

    def check() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, tmp_path / "scripts/generate_stubs.py", "--check"],
            capture_output=True,
            text=True,
            check=False,
        )

    return check


def test_the_stubs_are_current(check):
    done = check()
    assert not done.returncode, done.stdout + done.stderr


def test_a_stub_that_is_not_current_is_shown(check, tmp_path):
    stub = tmp_path / "python/eisbach/_C/functional.pyi"
    stub.write_text(stub.read_text().replace("def gelu(", "def gellu("))
    done = check()
    assert done.returncode == 1
    assert "-def gellu(" in done.stdout
    assert "+def gelu(" in done.stdout
