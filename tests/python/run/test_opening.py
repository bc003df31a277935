import json
import shutil

import pytest

from eisbach.config import load_config, resolve
from eisbach.run.opening import derived, fold


def test_lines_are_broken_between_words_at_80_columns():
    path = "/a" * 60
    lines = fold(f"words that go on and on until they reach {path} and end")
    assert lines == [
        "words that go on and on until they reach",
        f"  {path}",
        "  and end",
    ]
    assert max(len(line) for line in fold("word " * 99)) <= 80
    assert fold("") == []


def test_what_follows_from_one_key_is_one_line():
    lines = list(derived(resolve(load_config(None, []))))
    assert "model.kv_heads: 4 (model.heads)" in lines
    (family,) = (line for line in lines if line.endswith(" (model.family)"))
    assert family.startswith("model.norm_placement: pre, norm_plus_one: False")
    assert len({line.partition(" (")[2] for line in lines}) == len(lines)


@pytest.mark.mpi
def test_ranks_that_divide_train_alike(trainer, eisbach):
    train = trainer("train.micro_batch=4", "checkpoint.every_steps=4")

    def losses(folder):
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["loss"] for line in lines]

    done, whole = train("whole", ranks=2)
    assert not done.returncode, done.stderr
    assert "zero=" not in done.stdout
    for zero in (1, 2, 3):
        done, folder = train(f"zero{zero}", f"parallel.zero={zero}", ranks=2)
        assert not done.returncode, done.stderr
        assert (
            f"zero={zero}: 2 ranks of data x context divide "
            "optimizer state" in done.stdout
        )
        assert "--- continuation" in done.stdout
        assert losses(folder) == losses(whole)
    # From the last of these with another division, and with none.
    for ranks, overrides in ((2, ["parallel.zero=1"]), (1, [])):
        for step in (8, 10):
            shutil.rmtree(folder / "checkpoints" / f"step-000000{step:02}")
        done = eisbach("train", "--resume", folder, *overrides, ranks=ranks)
        assert not done.returncode, done.stderr
        assert losses(folder) == pytest.approx(losses(whole), rel=1e-5)


@pytest.mark.mpi
def test_what_tensor_ranks_cannot_divide_is_said_or_stops(trainer):
    train = trainer(
        "parallel.tensor=2", "model.context=21", "train.micro_batch=1",
        "train.steps=2",
    )  # fmt: skip
    text = "tensor=2 does not divide the 21 tokens of micro_batch=1 x 21"

    def printed(name, *overrides):
        done, _ = train(name, *overrides, ranks=2)
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    status, words = printed("auto")
    assert status == 0
    assert f"sequence=auto: every tensor rank keeps all tokens, as {text}" in (
        words
    )
    status, words = printed("odd", "parallel.sequence=true")
    assert status != 0
    assert text in words
    assert "nearest that works: model.context=20" in words
    status, words = printed(
        "even", "parallel.sequence=true", "model.context=22"
    )
    assert status == 0
    assert "sequence=" not in words
