from types import SimpleNamespace

import pytest

from eisbach.run.collector import Collector


class Results:
    """An engine whose steps are done."""

    def __init__(self, results):
        self._results = list(results)
        self.device = SimpleNamespace(
            runs_inline=False,
            trace_totals=lambda: None,
            memory=lambda: SimpleNamespace(peak_bytes_in_use=1),
        )
        model = SimpleNamespace(context=8, flops_per_token=1.0)
        self.config = SimpleNamespace(model=model)

    @property
    def submitted(self):
        return len(self._results)

    def collect(self):
        return self._results.pop(0)


def result(step, **facts):
    usual = {
        "loss": 2.0, "grad_norm": 1.0, "learning_rate": 0.1, "loss_scale": 1.0,
        "skipped": False, "counted": 8, "why": "", "transient_fault": False,
        "asked_to_stop": False, "asked_to_save": False, "saved": None,
        "stragglers": [], "straggler_news": [], "slow_link": None,
        "slow_link_seconds": None, "rewards": None, "z_loss": None,
        "label_smoothing_loss": None,
    }  # fmt: skip
    return SimpleNamespace(step=step, **{**usual, **facts})


@pytest.fixture
def collect():
    def run(*results):
        job = SimpleNamespace(
            engine=Results(results),
            config=SimpleNamespace(train=SimpleNamespace(global_batch=4)),
        )
        lines, said = [], []
        report = SimpleNamespace(
            step=lines.append, say=said.append, bad_step=lines.append
        )
        Collector(job, report, saver=None).but(0)
        return lines, said

    return run


def test_a_slow_link_is_in_the_metrics_and_said_once(collect):
    slow = {"slow_link": (1, 12), "slow_link_seconds": 0.4}
    news = ["the link between rank 1 (a) and rank 12 (b) is slow"]
    lines, said = collect(
        result(1), result(2, **slow, straggler_news=news), result(3, **slow)
    )
    assert [line.slow_link for line in lines] == [None, "1-12", "1-12"]
    assert [line.slow_link_seconds for line in lines] == [None, 0.4, 0.4]
    assert said == news


def test_the_worst_straggler_is_in_the_metrics(collect):
    worst = SimpleNamespace(rank=3, part="data", excess=0.5)
    other = SimpleNamespace(rank=1, part="host", excess=0.2)
    (line,), _ = collect(result(1, stragglers=[worst, other]))
    assert (line.straggler_rank, line.straggler_part) == (3, "data")
    assert line.straggler_seconds == 0.5
    assert line.slow_link is None
