"""When a checkpoint is written, and that all it needs is there before."""

from types import SimpleNamespace

import pytest

from eisbach.config import make_config
from eisbach.run import saving


@pytest.fixture
def order(monkeypatch):
    """What a Saver does, in its order."""
    order = []
    monkeypatch.setattr(saving, "save", lambda job: order.append("save"))
    monkeypatch.setattr(
        saving, "prune", lambda folder, **how: order.append(how)
    )
    return order


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    return clock


def job_of(order, *, first=0, **train):
    return SimpleNamespace(
        first=first,
        folder=None,
        config=make_config(train=train),
        train=SimpleNamespace(step=first),
        engine=SimpleNamespace(ask_to_save=lambda: order.append("ask")),
    )


def report_of(order):
    return SimpleNamespace(sync=lambda: order.append("sync"))


def test_metrics_are_on_disk_before_a_checkpoint_appears(order):
    job = job_of(order, first=3, keep=2, keep_every=5)
    saver = saving.Saver(job, report_of(order))
    saver.save()  # the checkpoint that it resumed from
    job.train.step = 4
    saver.save()
    saver.save()
    assert order == ["sync", "save", {"keep": 2, "every": 5, "spare": 3}]


def test_other_ranks_only_save(order):
    job = job_of(order)
    saver = saving.Saver(job, None)
    job.train.step = 1
    saver.save()
    assert order == ["save"]


def test_a_disk_that_is_full_is_told_and_tried_again(order, monkeypatch, capfd):
    job = job_of(order)
    saver = saving.Saver(job, report_of(order))
    saver.check()
    error = OSError(28, "No space left on device")
    with monkeypatch.context() as patch:

        def fail(job):
            raise error

        patch.setattr(saving, "save", fail)
        job.train.step = 1
        saver.save()
    assert capfd.readouterr().err == (
        "eisbach: warning: no checkpoint of step 1: "
        "[Errno 28] No space left on device\n"
    )
    assert order == ["sync"]
    with pytest.raises(OSError, match="No space"):
        saver.check()
    saver.save()
    saver.check()
    assert order[:3] == ["sync", "sync", "save"]


def test_time_is_what_rank_0_says(order, clock):
    job = job_of(order, save_minutes=2.0)
    saver = saving.Saver(job, report_of(order))
    other = saving.Saver(job, None)
    for seconds in (119, 2, 1, 118, 2):
        clock.now += seconds
        saver.asks()
        other.asks()
        order.append(clock.now - 1000)
    assert order == [119, "ask", 121, 122, 240, "ask", 242]


def test_a_checkpoint_starts_the_time_anew(order, clock):
    job = job_of(order, save_minutes=2.0)
    saver = saving.Saver(job, None)
    saver._report = report_of(order)
    clock.now += 100
    job.train.step = 1
    saver.save()
    clock.now += 100
    saver.asks()
    assert "ask" not in order


def test_no_time_is_no_time(order, clock):
    saver = saving.Saver(job_of(order, save_minutes=0.0), report_of(order))
    clock.now += 1e9
    saver.asks()
    assert order == []


@pytest.mark.parametrize(
    ("train", "told"),
    [
        ({}, "saves every 15 minutes, at the end and"),
        (
            {"save_every": 10, "save_minutes": 0.5},
            "saves every 10 steps and every 0.5 minutes, at the end and",
        ),
        ({"save_minutes": 0.0}, "a crash loses everything"),
    ],
)
def test_a_run_says_what_a_stop_loses(order, train, told):
    assert told in saving.what_a_stop_loses(job_of(order, **train))
