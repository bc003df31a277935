import pytest

from eisbach.run.end_file import (
    END_FILE,
    has_ended,
    is_ready,
    tell_end,
    tell_ready,
)


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv(END_FILE, str(tmp_path / "end"))
    return tmp_path / "end"


def test_a_job_is_ready_before_it_ends(path, monkeypatch):
    assert (is_ready(path), has_ended(path)) == (False, False)
    tell_ready()
    assert (is_ready(path), has_ended(path)) == (True, False)
    tell_end(0)
    assert (is_ready(path), has_ended(path)) == (True, True)


def test_rank_0_alone_tells(path, monkeypatch):
    monkeypatch.setenv("PMIX_RANK", "1")
    tell_ready()
    tell_end(0)
    assert not path.exists()


def test_nobody_is_told_where_nobody_asks(path, monkeypatch):
    monkeypatch.delenv(END_FILE)
    tell_end(0)
    assert not path.exists()
