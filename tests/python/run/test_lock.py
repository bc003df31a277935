"""One process writes to a run folder."""

import json
import os
import platform
import re
import signal
import subprocess
import sys

import pytest

from eisbach.run.lock import RunLock

HOLD = (
    "import sys, time; from pathlib import Path\n"
    "from eisbach.run.lock import RunLock\n"
    "lock = RunLock(Path(sys.argv[1]))\n"
    "print('held', flush=True); time.sleep(600)\n"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_another_process_is_named(tmp_path, holder):
    with pytest.raises(ValueError, match="in use by") as told:
        RunLock(tmp_path / "lock")
    where = re.escape(f"process {holder.pid} on {platform.node()}, since 20")
    assert re.match(rf"{tmp_path} is in use by {where}", str(told.value))
    assert f"`kill {holder.pid}`" in str(told.value)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_dies_with_its_holder(tmp_path, holder, number):
    holder.send_signal(number)
    holder.wait()
    RunLock(tmp_path / "lock").release()


def test_a_child_does_not_keep_it(tmp_path, holder):
    code = HOLD.replace("time.sleep(600)", "os.fork() or time.sleep(60)")
    code = "import os\n" + code.replace("print(", "print(os.getpid(), ")
    path = tmp_path / "other"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    process.stdout.readline()
    process.wait()  # the child sleeps on
    RunLock(path).release()
    os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()


def test_the_process_itself_takes_it_once(tmp_path):
    lock = RunLock(tmp_path / "lock")
    with pytest.raises(ValueError, match="in use by this process"):
        RunLock(tmp_path / "lock")
    lock.release()
    lock.release()
    lock = RunLock(tmp_path / "lock")
    assert json.loads((tmp_path / "lock").read_bytes())["pid"] == os.getpid()
    lock.release()


def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "other").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "other")
    with pytest.raises(ValueError, match="lock: "):
        RunLock(tmp_path / "lock")
    assert (tmp_path / "other").read_text() == "precious"


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, capfd):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.lockf", refuse)
    RunLock(tmp_path / "lock").release()
    assert "has no locks (No locks available)" in capfd.readouterr().err
