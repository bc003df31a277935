import json

import pytest

from eisbach.config import load_config, resolve
from eisbach.estimating import estimate, spans, table
from eisbach.fitting import fit


@pytest.fixture
def fitted(repo):
    def fitted(*overrides, ranks=1):
        config = load_config(
            repo / "configs" / "tiny.yaml", ["run.device=cpu", *overrides]
        )
        return fit(resolve(config), ranks)

    return fitted


def test_stages_differ_and_copies_do_not(fitted):
    found = fitted(
        "parallel.pipeline=2", "parallel.tensor=2", "model.layers=4", ranks=8
    )
    rows = estimate(found)
    assert sorted(r for row in rows for r in row.ranks) == list(range(8))
    assert [row.stages for row in rows] == [[0], [1]]
    assert [row.ranks for row in rows] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    # The first of two stages has two micro-batches in flight.
    first, last = (row.memory for row in rows)
    assert first.activations != last.activations
    assert first.peak == sum(
        getattr(first, kind)
        for kind in (
            "weights",
            "masters",
            "gradients",
            "optimizer",
            "activations",
            "other",
        )
    )


def test_a_run_holds_what_was_estimated(fitted, trainer):
    keys = ["model.hidden=128", "model.context=128", "precision.compute=f32"]
    (row,) = estimate(fitted(*keys))
    done, folder = trainer()("measured", "train.steps=3", *keys)
    assert not done.returncode, done.stderr
    line = (folder / "metrics.jsonl").read_text().splitlines()[-1]
    held = json.loads(line)["peak_memory_bytes"]
    assert row.memory.peak == pytest.approx(held, rel=0.03)


def test_the_table_fits_80_columns(fitted):
    found = fitted(
        "model.family=llama",
        "model.layers=80",
        "model.hidden=8192",
        "model.heads=64",
        "model.kv_heads=8",
        "model.context=4096",
        "precision.compute=bf16",
        "parallel.tensor=8",
        "parallel.pipeline=4",
        "train.global_batch=16",
        "train.micro_batch=1",
        ranks=64,
    )
    lines = list(table(found, estimate(found)))
    assert max(map(len, lines)) <= 80, lines
    assert "64 ranks: pipeline 4 x data 2 x tensor 8" in lines
    assert any(line.startswith("GiB of memory on a rank") for line in lines)


@pytest.mark.parametrize(
    ("ranks", "text"),
    [
        ([0], "0"),
        ([3, 0, 1, 2, 8], "0-3,8"),
        (list(range(0, 100, 2)), "0,2,4,6,..."),
    ],
)
def test_ranks_are_spelled_in_spans(ranks, text):
    assert spans(ranks) == text
