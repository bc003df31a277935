import os

import pytest

from eisbach.config import ConfigError, load_config
from eisbach.config.problems import find_key


def told(override):
    with pytest.raises(ConfigError) as caught:
        load_config(None, [override])
    (found,) = caught.value.problems
    assert found.origin == "command line"
    return str(found)


@pytest.mark.parametrize(
    ("override", "ending"),
    [
        ("run.device=gpu", "; nearest: cuda"),
        ("precision.compute=fp16", "; nearest: f16"),
        ("precision.compute=bfloat16", "; nearest: bf16"),
        ("model.family=gtp", "; nearest: gpt"),
        ("model.n_layer=3", "closest: model.layers"),
        ("train.batch_size=3", "closest: train.global_batch"),
        ("train.learning_rate=1e-3", "closest: optimizer.lr"),
        ("model.momentum=3", "closest: optimizer.momentum"),
        ("modle={layers: 3}", "unknown section; closest: model"),
        ("layers=3", "unknown section; closest: model.layers"),
        ("train.steps=1e3", "; nearest: 1000"),
        ("train.steps='30'", "; nearest: 30"),
        ("run.seed=-1", "; nearest: 0"),
        ("model.tie_embeddings=on", "; nearest: true"),
    ],
)
def test_what_was_meant_is_named(override, ending):
    assert told(override).endswith(ending)


@pytest.mark.parametrize(
    "override", ["lora={rank: 8}", "moe=3", "foo.bar=1", "fsdp={size: 2}"]
)
def test_a_section_unlike_all_others_has_no_neighbour(override):
    assert "closest" not in told(override)
    assert "known: run, model, adapter, data" in told(override)


@pytest.mark.parametrize(
    ("override", "key", "default"),
    [
        ("optimizer.lr=-1", "optimizer.lr", 0.0003),
        ("optimizer.betas=[0.9, 1]", "optimizer.betas[1]", 0.95),
        ("optimizer.momentum=1", "optimizer.momentum", "auto"),
    ],
)
def test_no_value_is_offered_next_to_a_bound_that_is_open(
    override, key, default
):
    message = told(override)
    assert message.endswith(f"; default: {default}")
    assert load_config(None, [f"{key}={default}"])


def test_the_home_folder_has_its_sign():
    home = os.path.expanduser("~")
    config = load_config(
        None,
        ["run.dir=~/runs", "data.train=[{path: ~/a}]", "data.tokenizer=~/t"],
    )
    assert config.run.dir == f"{home}/runs"
    assert config.data.train[0].path == f"{home}/a"
    assert config.data.tokenizer == f"{home}/t"
    assert "~nobody-here: there is no such user" in told(
        "run.dir=~nobody-here/x"
    )


def test_an_item_of_a_default_list_can_be_changed():
    config = load_config(None, ["optimizer.betas[1]=0.99"])
    assert config.optimizer.betas == [0.9, 0.99]
    assert load_config().optimizer.betas == [0.9, 0.95]


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("lr", "optimizer.lr"),
        ("learning_rate", "optimizer.lr"),
        ("steps", "train.steps"),
        ("n_layer", "model.layers"),
        ("warmup_step", "optimizer.warmup_steps"),
        ("model.layer", "model.layers"),
        ("lora_r", "adapter.rank"),
        ("target_modules", "adapter.targets"),
        ("moe", ""),
    ],
)
def test_words_that_mean_a_key(word, key):
    assert find_key(word) == key
