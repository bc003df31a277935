"""A process ends with its code, whatever became of its streams."""

import subprocess
import sys

import pytest


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
        check=False,
    )
    assert done.returncode == 7


def test_the_cause_is_told_where_it_can_be():
    code = (
        "from eisbach.cli.failure import told_once\n"
        "with told_once():\n"
        "    raise ValueError('x')\n"
    )
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" 2> /dev/full', sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
