import math
import time

import pytest

from eisbach.run.comparison import read_run, table
from eisbach.run.folder import RunFolder, read_lines
from eisbach.run.restarts import (
    SUPERVISED,
    RestartFile,
    Supervised,
    restart_times,
    seconds_left,
    supervised,
)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path, "a")


@pytest.fixture
def tell(monkeypatch):
    """Lets this process be told what `eisbach run` tells."""

    def tell(**facts):
        told = Supervised(**facts)
        for name, value in told.variables.items():
            monkeypatch.setenv(name, value)
        return told

    return tell


def test_what_is_told_arrives(tell, monkeypatch):
    told = tell(started=5.5, restart=2, cause='"a", b=\n', folder="/r/ü")
    assert supervised() == told
    monkeypatch.delenv(SUPERVISED)
    assert supervised() is None


def test_a_restart_is_a_line(folder, tell):
    folder.metrics.write_text("{}\n")
    for count in (1, 2):
        now = time.time()
        tell(started=1.0, restart=count, cause="c", status=9,
             fault_seen=now - 2)  # fmt: skip
        RestartFile(folder).first_step(41, 3)
    first, second = read_lines(folder.restarts)
    assert (first["restart"], second["restart"]) == (1, 2)
    assert (
        second | {"cause": "c", "status": 9, "step": 41, "ranks": 3} == second
    )
    assert 2 <= second["seconds_to_step"] < 60
    # Its last sign of life was younger than its end.
    assert second["seconds_to_notice"] == 0
    times = restart_times(folder)
    assert times["count"] == 2
    assert 2 <= times["median_seconds"] <= times["worst_seconds"]


def test_restarts_that_came_to_no_step_are_lines_of_the_next(folder, tell):
    path = str(folder.path)
    now = time.time()
    at = Supervised(started=now - 9, folder=path).again("a", 1, now - 8)
    at = at.again("b", 2, now - 6).again("c", 3, now - 4)
    tell(**vars(at))
    RestartFile(folder).first_step(7, 2)
    lines = read_lines(folder.restarts)
    told = [(it["restart"], it["cause"], it["status"]) for it in lines]
    assert told == [(1, "a", 1), (2, "b", 2), (3, "c", 3)]
    assert [it["step"] for it in lines] == [7, 7, 7]
    assert [it["seconds_to_step"] is None for it in lines] == [1, 1, 0]
    assert lines[0]["time"] == now - 8
    assert restart_times(folder)["count"] == 3
    assert restart_times(folder)["worst_seconds"] >= 4
    # They are told now. That of an earlier `eisbach run` is another's.
    assert at.again("d", 4, now).untold == []
    later = Supervised(started=time.time() + 1, restart=3, folder=path)
    assert len(later.again("e", 5, now).untold) == 1


def test_a_first_start_is_none(folder, tell, monkeypatch):
    RestartFile(folder).first_step(1, 1)
    tell(started=1.0)
    RestartFile(folder).first_step(1, 1)
    assert not folder.restarts.exists()
    assert restart_times(folder) == {
        "count": 0, "median_seconds": None, "worst_seconds": None,
    }  # fmt: skip


def test_the_time_of_a_run_goes_on_over_restarts(tell):
    now = time.time()
    assert 0 < seconds_left(1.0) <= 3600
    assert seconds_left(0.0) == math.inf
    tell(started=now - 3000, restart=1)
    assert 0 < seconds_left(1.0) <= 600
    tell(started=now - 4000, restart=1)
    assert seconds_left(1.0) < 0


def test_restarts_are_shown_beside_a_run(folder):
    folder.config.write_text("run: {name: a}\n...\n")
    folder.restarts.write_text('{"step": 1}\n{"step": 7}\n')
    run = read_run(folder.path)
    assert run.restarts == 2
    assert "  restarts: 2" in table([run])
