from dataclasses import replace
from pathlib import Path

import pytest

from eisbach.run.end_file import (
    END_FILE,
    Told,
    read_told,
    tell_end,
    tell_ready,
    tell_refused,
)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv(END_FILE, str(tmp_path / "end"))
    return tmp_path / "end"


def test_a_job_is_ready_before_it_ends(path, monkeypatch):
    assert read_told(path) == Told()
    tell_ready()
    assert read_told(path) == Told(ready=True)
    tell_end(0)
    assert read_told(path) == Told(ready=True, ended=True)


def test_a_run_tells_its_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tell_ready(Path("a run/ü"))
    told = Told(ready=True, folder=tmp_path / "a run/ü")
    assert read_told(path) == told
    tell_refused()  # too late for that
    assert read_told(path) == told
    tell_end(75)
    assert read_told(path) == replace(told, ended=True)


def test_a_job_may_refuse_what_it_is_asked_to(path):
    tell_refused()
    assert read_told(path) == Told(refused=True)


def test_the_watch_adds_that_it_has_killed_the_launcher(path, tmp_path):
    def add():
        with path.open("a") as file:
            file.write("hung\n")  # kHungLine of csrc/watch/watch.h

    add()
    add()  # of several ranks
    assert read_told(path) == Told(hung=True)
    tell_ready(tmp_path)
    add()
    told = Told(ready=True, hung=True, folder=tmp_path)
    assert read_told(path) == told


def test_rank_0_alone_tells(path, monkeypatch):
    monkeypatch.setenv("PMIX_RANK", "1")
    tell_ready()
    tell_end(0)
    tell_refused()
    assert not path.exists()


def test_nobody_is_told_where_nobody_asks(path, monkeypatch):
    monkeypatch.delenv(END_FILE)
    tell_end(0)
    tell_refused()
    assert not path.exists()
