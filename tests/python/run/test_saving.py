"""When a checkpoint is written, and that all it needs is there before."""

from types import SimpleNamespace

import pytest

from eisbach.config import make_config
from eisbach.run import saving
from eisbach.run.folder import RunFolder


class Engine:
    """Writes what it is given in no time, when it is asked to finish."""

    def __init__(self, order):
        self.order = order
        self.begun = None
        self.error = None
        self.failed_alike = False
        self.replicas_differ = False
        self.replicas_equal_at = 0

    def ask_to_save(self):
        self.order.append("ask")

    @property
    def saving(self):
        return self.begun is not None

    def finish_save(self):
        if not self.saving:
            return None
        step, self.begun = self.begun, None
        self.order.append(f"finish {step}")
        return self.outcome(step)

    def outcome(self, step):
        def check():
            if self.error:
                raise self.error

        return SimpleNamespace(
            step=step,
            check=check,
            bytes=10,
            seconds=2.0,
            stall_seconds=0.5,
            write_seconds=1.0,
        )


@pytest.fixture
def order(monkeypatch):
    """What a Saver does, in its order."""
    order = []

    def begin(job):
        order.append(f"begin {job.train.step}")
        job.engine.begun = job.train.step

    monkeypatch.setattr(saving, "begin_save", begin)
    monkeypatch.setattr(
        saving, "prune", lambda folder, **how: order.append(how)
    )
    return order


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    return clock


def job_of(order, *, first=0, **checkpoint):
    return SimpleNamespace(
        first=first,
        folder=None,
        config=make_config(checkpoint=checkpoint),
        train=SimpleNamespace(step=first),
        engine=Engine(order),
    )


def report_of(order):
    return SimpleNamespace(
        sync=lambda: order.append("sync"),
        saved=lambda now: order.append(now),
        say=lambda line: order.append(line),
    )


def test_metrics_are_on_disk_before_a_checkpoint_appears(order):
    job = job_of(
        order, first=3, keep=2, keep_every=5, keep_best=1, asynchronous=False
    )
    saver = saving.Saver(job, report_of(order))
    saver.save()  # the checkpoint that it resumed from
    job.train.step = 4
    saver.save()
    saver.save()
    told = order.pop(3)
    assert order == [
        "sync",
        "begin 4",
        "finish 4",
        {"keep": 2, "every": 5, "best": 1, "spare": 3},
    ]
    assert (told.step, told.hidden_seconds) == (4, 1.5)
    assert told.bytes_per_second == 10


def test_training_goes_on_while_one_is_written(order):
    job = job_of(order)
    saver = saving.Saver(job, None)
    job.train.step = 1
    saver.save()
    assert order == ["begin 1"]
    job.train.step = 2
    job.engine.begun = None  # a step has told of its end
    saver.ended(job.engine.outcome(1))
    saver.save(last=True)
    assert order == ["begin 1", "begin 2", "finish 2"]


def test_the_last_waits_for_one_of_the_same_step(order):
    job = job_of(order)
    saver = saving.Saver(job, None)
    job.train.step = 1
    saver.save()
    saver.save(last=True)
    assert order == ["begin 1", "finish 1"]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("policy", ["wait", "skip"])
def test_one_that_is_due_while_another_is_written(order, policy, last):
    job = job_of(order, when_busy=policy)
    saver = saving.Saver(job, report_of(order))
    for step in (1, 2):
        job.train.step = step
        saver.save(last=last and step == 2)
    if policy == "skip" and not last:
        assert order[:2] == ["sync", "begin 1"]
        assert len(order) == 3
        assert "no checkpoint of step 2" in order[2]
        return
    words = [item for item in order if isinstance(item, str)]
    assert words[:5] == ["sync", "begin 1", "finish 1", "sync", "begin 2"]
    assert ("finish 2" in words) == last


def test_a_disk_that_is_full_is_told_and_tried_again(order, capfd):
    job = job_of(order, asynchronous=False)
    saver = saving.Saver(job, report_of(order))
    saver.check()
    job.engine.error = OSError(28, "No space left on device")
    job.train.step = 1
    saver.save()
    assert capfd.readouterr().err == (
        "eisbach: warning: no checkpoint of step 1: "
        "[Errno 28] No space left on device\n"
    )
    assert order == ["sync", "begin 1", "finish 1"]
    with pytest.raises(OSError, match="No space"):
        saver.check()
    job.engine.error = None
    saver.save()
    saver.check()
    assert order[3:6] == ["sync", "begin 1", "finish 1"]


def test_a_disk_that_is_full_ends_a_run_that_says_so(order):
    job = job_of(order, asynchronous=False, on_error="stop")
    saver = saving.Saver(job, None)
    job.engine.error = OSError(28, "No space left on device")
    job.train.step = 1
    with pytest.raises(OSError, match="No space"):
        saver.save()


def test_a_step_that_is_bad_loses_no_checkpoint(order):
    job = job_of(order)
    job.train.step = 1
    job.engine.failed_alike = True

    def step(error):
        with saving.Saver(job, None) as saver:
            saver.save()
            raise error

    with pytest.raises(FloatingPointError):
        step(FloatingPointError("loss=nan"))
    assert order == ["begin 1", "finish 1"]
    job.train.step = 2
    job.engine.failed_alike = False
    # Of one rank alone: the others do not come.
    with pytest.raises(OSError, match="alone"):
        step(OSError("alone"))
    assert order[2:] == ["begin 2"]


def test_checkpoints_of_wrong_bits_are_put_aside(order, tmp_path, capsys):
    folder = RunFolder.create(tmp_path, "a")
    for step in (4, 8, 12):
        path = folder.checkpoints / f"step-{step}"
        path.mkdir(parents=True)
        (path / "manifest.json").write_text("{}")
    job = job_of(order)
    job.folder = folder
    job.engine.failed_alike = job.engine.replicas_differ = True
    job.engine.replicas_equal_at = 8

    def fail(report):
        with saving.Saver(job, report):
            raise RuntimeError("other bits")

    with pytest.raises(RuntimeError):
        fail(None)  # any rank but 0
    assert list(folder.saved()) == [4, 8, 12]
    with pytest.raises(RuntimeError):
        fail(report_of(order))
    assert list(folder.saved()) == [4, 8]
    assert (folder.checkpoints / "step-12.damaged").is_dir()
    assert "last equal after step 8" in capsys.readouterr().err


def test_time_is_what_rank_0_says(order, clock):
    job = job_of(order, every_minutes=2.0)
    saver = saving.Saver(job, report_of(order))
    other = saving.Saver(job, None)
    for seconds in (119, 2, 1, 118, 2):
        clock.now += seconds
        saver.asks()
        other.asks()
        order.append(clock.now - 1000)
    assert order == [119, "ask", 121, 122, 240, "ask", 242]


def test_a_checkpoint_starts_the_time_anew(order, clock):
    job = job_of(order, every_minutes=2.0)
    saver = saving.Saver(job, report_of(order))
    clock.now += 100
    job.train.step = 1
    saver.save()
    clock.now += 100
    saver.asks()
    assert "ask" not in order


def test_no_time_is_no_time(order, clock):
    saver = saving.Saver(job_of(order, every_minutes=0.0), report_of(order))
    clock.now += 1e9
    saver.asks()
    assert order == []


@pytest.mark.parametrize(
    ("checkpoint", "told"),
    [
        ({}, "saves every 15 minutes, at the end and"),
        (
            {"every_steps": 10, "every_minutes": 0.5},
            "saves every 10 steps and every 0.5 minutes, at the end and",
        ),
        ({"every_minutes": 0.0}, "a crash loses everything"),
    ],
)
def test_a_run_says_what_a_stop_loses(order, checkpoint, told):
    assert told in saving.what_a_stop_loses(job_of(order, **checkpoint))
