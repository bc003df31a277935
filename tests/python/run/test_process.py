"""A process ends with its code, whatever became of its streams."""

import os
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
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        check=False,
    )
    assert done.returncode == 7
