"""Runs that learn which of two answers to prefer."""

import json

import numpy as np
import pytest

STEPS = 30


def write_pairs(path):
    draw = np.random.default_rng(3)
    with open(path, "w") as stream:
        for _ in range(40):
            word = "".join(draw.choice(list("abcdefghijklmnop"), 6))
            record = {
                "prompt": [{"role": "user", "content": word}],
                "chosen": [{"role": "assistant", "content": "yes, sir"}],
                "rejected": [{"role": "assistant", "content": "no way"}],
            }
            stream.write(json.dumps(record) + "\n")
    return path


@pytest.fixture(scope="module")
def home(eisbach, tmp_path_factory):
    """A folder with pairs, and a model to begin with."""
    home = tmp_path_factory.mktemp("pairs")
    write_pairs(home / "pairs.jsonl")
    done = eisbach(
        "train",
        "configs/tiny.yaml",
        f"run.dir={home}",
        "run.name=base",
        "model.context=192",
        "train.steps=2",
        "data.template=chatml",
    )
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture(scope="module")
def prefer(eisbach, home):
    """Trains a model to prefer answers; returns its metrics and output."""

    def prefer(name, *overrides, resume=False, **options):
        begin = ["configs/tiny.yaml", f"run.name={name}", f"run.dir={home}"]
        if resume:
            begin = ["--resume", home / name]
        done = eisbach(
            "train",
            *begin,
            f"model.from={home / 'base' / 'model'}",
            f"data.train={home / 'pairs.jsonl'}",
            "train.objective=dpo",
            "model.context=192",
            f"train.steps={STEPS}",
            f"train.validate_every={STEPS}",
            "optimizer.lr=0.003",
            "precision.compute=f32",
            *overrides,
            **options,
        )
        assert done.returncode == 0, done.stderr
        lines = (home / name / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines], done.stdout

    return prefer


ADAPTERS = ("adapter.rank=4",)


@pytest.fixture(scope="module")
def adapted(prefer):
    return prefer("adapted", *ADAPTERS)


@pytest.fixture(scope="module")
def whole(prefer):
    return prefer("whole")


def losses(metrics):
    return [m["loss"] for m in metrics]


@pytest.mark.parametrize("kind", ["adapted", "whole"])
def test_a_model_learns_to_prefer(kind, request):
    metrics, said = request.getfixturevalue(kind)
    assert "a sample is a pair of answers" in said
    # Before the first step it is its own reference.
    assert metrics[0]["loss"] == pytest.approx(np.log(2), abs=1e-5)
    assert metrics[0]["reward_margin"] == pytest.approx(0, abs=1e-4)
    assert metrics[-1]["loss"] < 0.5 * metrics[0]["loss"]
    last = metrics[-1]
    assert last["reward_accuracy"] == 1
    assert last["reward_margin"] == pytest.approx(
        last["chosen_reward"] - last["rejected_reward"]
    )
    assert "right 100%" in said
    measured = "measuring the reference on 38 pairs" in said
    assert measured == (kind == "whole")


def test_held_out_pairs_are_measured(home, whole):
    lines = (home / "whole" / "validation.jsonl").read_text().splitlines()
    held = json.loads(lines[-1])
    assert held["loss"] < 0.5 * np.log(2)
    assert held["bits_per_byte"] is None


@pytest.mark.mpi
@pytest.mark.parametrize("axis", ["data", "context"])
@pytest.mark.parametrize("kind", ["adapted", "whole"])
def test_two_ranks_learn_as_one(axis, kind, request, prefer):
    metrics, _ = request.getfixturevalue(kind)
    more = ADAPTERS if kind == "adapted" else ()
    divided, said = prefer(
        f"{kind}-{axis}", *more, f"parallel.{axis}=2", ranks=2
    )
    np.testing.assert_allclose(losses(divided), losses(metrics), rtol=1e-3)
    by_heads = "context=2 ranks divide rows: ulysses" in said
    assert by_heads == (axis == "context")


def test_what_goes_on_has_the_reference_of_its_beginning(prefer):
    short = "train.steps=12", "optimizer.schedule=constant"
    prefer("short", *short)
    again, said = prefer("short", "train.steps=20", resume=True)
    assert "measuring the reference" not in said
    straight, _ = prefer("straight", "train.steps=20", short[1])
    assert losses(again) == losses(straight)


def test_what_does_not_fit_is_told(eisbach, home):
    def told(*overrides):
        done = eisbach(
            "train",
            "configs/tiny.yaml",
            f"run.dir={home}",
            "run.name=none",
            f"data.train={home / 'pairs.jsonl'}",
            "data.template=chatml",
            *overrides,
        )
        assert done.returncode != 0
        return " ".join(done.stderr.split())

    assert "train.objective=dpo" in told("model.context=192")
    dpo = "train.objective=dpo"
    assert "data.train_on=completion" in told(dpo, "data.train_on=last")
    assert "data.shape=preference" in told(dpo, "data.shape=chat")
    assert "data.documents=auto" in told(dpo, "data.documents=joined")
    assert "dpo.reference=start" in told(dpo, "dpo.reference=base")
    assert "model.context=" in told(dpo, "model.context=16")
    assert "take train.objective=dpo" in told("dpo.beta=0.2")
