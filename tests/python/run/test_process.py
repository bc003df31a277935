"""A process ends with its code, whatever became of its streams."""

import os
import subprocess
import sys

import pytest

from eisbach.run.process import failure_announced


@pytest.mark.parametrize("shell", ["> /dev/full 2>&1", ">&- 2>&-", "| true"])
def test_streams_that_are_gone_do_not_change_the_end(shell):
    code = (
        "from eisbach.run.process import abort, tell_at_end\n"
        "print('never read')\n"
        "tell_at_end('why')\n"
        "abort(7)\n"
    )
    shell = f'"$0" -c "$1" {shell}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", shell, sys.executable, code],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        check=False,
    )
    assert done.returncode == 7


def test_a_failure_is_known_to_others_while_its_rank_lives(monkeypatch):
    monkeypatch.setenv("PMIX_NAMESPACE", f"test-{os.getpid()}")
    assert not failure_announced()
    code = (
        "from eisbach.run.process import announce_failure\n"
        "announce_failure(); announce_failure()\n"
        "print('announced', flush=True); input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as rank:
        assert rank.stdout.readline() == b"announced\n"
        assert failure_announced()
        monkeypatch.setenv("PMIX_NAMESPACE", "another job")
        assert not failure_announced()
    monkeypatch.setenv("PMIX_NAMESPACE", f"test-{os.getpid()}")
    assert not failure_announced()
