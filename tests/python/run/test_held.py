"""Names that lead elsewhere, and locks that stay."""

import os
import shutil

import pytest

from eisbach.run.held import Held
from eisbach.run.lock import RunLock, is_held


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "a"
    path.mkdir()
    return path


def test_what_is_in_its_place_has_no_fault(place, monkeypatch):
    held = Held(place)
    (place / "file").write_text("")
    assert (held.fault(), held.now()) == ("", place)
    monkeypatch.chdir(place)
    assert Held(place / ".." / "a").fault() == ""
    held.release()
    held.release()


def test_it_is_found_where_it_was_moved(place):
    held = Held(place)
    moved = place.rename(place.with_name("b"))
    assert (held.fault(), held.now()) == (f"was moved to {moved}", moved)
    place.mkdir()  # another one
    assert held.fault() == f"was moved to {moved}"
    held.release()


def test_what_is_deleted_is_nowhere(place):
    held = Held(place)
    shutil.rmtree(place)
    assert (held.fault(), held.now()) == ("was deleted", None)
    # Somebody's file of the name that the system gives to what is deleted.
    (place.parent / "a (deleted)").mkdir()
    assert held.fault() == "was deleted"
    held.release()


def test_a_link_that_leads_to_it_may_change(place):
    link = place.with_name("link")
    link.symlink_to(place)
    held = Held(link)
    assert held.fault() == ""
    link.unlink()
    assert held.fault() == f"was moved to {place}"
    held.release()


def test_a_lock_stays_where_its_file_is_held(place):
    lock = RunLock(place / "lock")
    Held(place / "lock").release()
    assert is_held(place / "lock") is False  # by another process
    pid = os.fork()
    if pid == 0:
        os._exit(0 if is_held(place / "lock") else 1)
    assert os.waitpid(pid, 0)[1] == 0
    lock.release()
    assert is_held(place / "lock") is False
