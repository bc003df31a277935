import subprocess
import sys


def test_generated_files_are_current(repo):
    done = subprocess.run(
        [sys.executable, repo / "scripts" / "generate_docs.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""
