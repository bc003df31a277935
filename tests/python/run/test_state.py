"""How a run says that it ended, whatever it ended for."""

import contextlib
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from eisbach.run import state
from eisbach.run.folder import RunFolder
from eisbach.run.state import StateFile, standing, state_file


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path, "a")


ENGINE = SimpleNamespace(steps_done=7)


def full(*_):
    raise OSError(28, "No space left on device")


def told(folder):
    return json.loads(state_file(folder).read_text())


@pytest.mark.parametrize(
    ("status", "name"), [(0, "finished"), (128 + 15, "stopped")]
)
def test_the_end_is_told_with_its_status(folder, status, name):
    with StateFile(folder, ENGINE) as file:
        assert told(folder) == {"state": "running", "step": 7}
        file.status = status
    assert told(folder) == {"state": name, "step": 7, "exit_status": status}


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, 1), (KeyboardInterrupt, 1)]
)
def test_an_error_is_a_failure(folder, error, status):
    with pytest.raises(error), StateFile(folder, ENGINE):
        raise error
    assert told(folder) == {
        "state": "failed",
        "step": 7,
        "exit_status": status,
    }


def test_the_end_needs_no_room_and_no_right(folder, monkeypatch, capfd):
    """A disk that is full refuses what is new, not what is written over."""
    with contextlib.suppress(OSError), StateFile(folder, ENGINE):
        before = state_file(folder).stat()
        monkeypatch.setattr(state, "write_atomically", full)
        full()
    after = state_file(folder).stat()
    assert told(folder)["state"] == "failed"
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    assert not capfd.readouterr().err


def test_a_disk_that_is_full_at_once_is_a_warning(folder, monkeypatch, capfd):
    monkeypatch.setattr(state, "write_atomically", full)
    with StateFile(folder, ENGINE) as file:
        file.status = 0
    assert capfd.readouterr().err.count("state.json is left out") == 1
    assert not os.listdir(folder.path)


def test_a_run_stands_as_its_lock_and_its_words_say(folder):
    assert standing(folder) == ""
    state_file(folder).write_text('{"state": "running"}')
    assert standing(folder) == "crashed"
    code = (
        "import sys; from eisbach.run.folder import RunFolder\n"
        "RunFolder(sys.argv[1]).hold(); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, folder.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        holder.stdout.readline()
        assert standing(folder) == "running"
        holder.stdin.close()
    for text, name in (
        ('{"state": "finished"}', "finished"),
        ('{"state": "stopped"}', "stopped"),
        ('{"state": "failed"}', "failed"),
        ("[]", ""),
        ("", ""),
    ):
        state_file(folder).write_text(text)
        assert standing(folder) == name
