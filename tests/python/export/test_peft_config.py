"""What an `adapter_config.json` may ask for."""

import contextlib
import json

import hypothesis
import hypothesis.strategies as st
import pytest

from eisbach.config import make_config
from eisbach.export.adapter_start import read_adapter
from eisbach.export.peft_config import FILE, peft_config, read_peft_config

SIZES = {"layers": 2, "hidden": 24, "heads": 6, "vocab": 17}


def model_of(family, tied=True):
    sizes = {"family": family, "tie_embeddings": tied, **SIZES}
    return make_config(model=sizes).model


@pytest.fixture
def read(tmp_path):
    """Reads a file that says what ours says but for some keys."""

    def read(family="llama", *, tied=True, **changes):
        model = model_of(family, tied)
        adapter = make_config(adapter={"rank": 8, "alpha": 16.0}).adapter
        said = {**peft_config(model, adapter, "base"), **changes}
        (tmp_path / FILE).write_text(json.dumps(said))
        return read_peft_config(tmp_path, model)

    return read


def test_it_reads_what_it_writes(read):
    found = read(lora_dropout=0.1, use_rslora=True, modules_to_save=["lm_head"])
    assert found == {
        "rank": 8,
        "alpha": 16.0,
        "dropout": 0.1,
        "rslora": True,
        "targets": ["query", "key", "value", "output", "gate", "up", "down"],
        "modules_to_save": ["head"],
    }
    assert read("gpt")["targets"] == ["qkv", "output", "up", "down"]
    assert read("phi3")["targets"] == ["qkv", "output", "gate_up", "down"]
    assert read("apertus")["targets"] == [
        "query", "key", "value", "output", "up", "down"
    ]  # fmt: skip


def test_names_are_those_of_pefts_rule(read):
    # Of GPT-2 one name fits two layers.
    assert read("gpt", target_modules=["c_proj"])["targets"] == [
        "output",
        "down",
    ]
    assert read(target_modules=["self_attn.v_proj", "q_proj"])["targets"] == [
        "query",
        "value",
    ]
    assert read(target_modules="all-linear")["targets"] is None
    with pytest.raises(ValueError, match='"lm_head", which is none of self'):
        read(target_modules=["lm_head"])
    with pytest.raises(ValueError, match='modules_to_save has "norm"; it may'):
        read(modules_to_save=["norm"])


def test_tokens_are_those_of_each_table(read):
    def tokens(family="llama", **changes):
        return read(family, tied=family == "gpt", **changes)["tokens"]

    with pytest.raises(
        ValueError, match=r"each of model.embed_tokens, lm_head"
    ):
        tokens(trainable_token_indices=[1, 3])  # not of the head
    both = {"embed_tokens": [1, 3], "model.lm_head": [1, 3]}
    with pytest.raises(ValueError, match="may be the same ids of each of"):
        tokens(trainable_token_indices=both)
    both = {"embed_tokens": [1, 3], "lm_head": [1, 3]}
    assert tokens(trainable_token_indices=both) == [1, 3]
    # GPT-2's head is the embedding.
    assert tokens("gpt", trainable_token_indices=[1, 3]) == [1, 3]
    assert tokens("gpt", trainable_token_indices={"wte": [2]}) == [2]
    head = {"modules_to_save": ["embed_tokens"]}
    assert tokens(trainable_token_indices={"lm_head": [4]}, **head) == [4]
    with pytest.raises(ValueError, match=r"has \[3, 1\], which is no list of"):
        tokens("gpt", trainable_token_indices=[3, 1])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("peft_type", "LOHA"),
        ("use_dora", True),
        ("rank_pattern", {"q_proj": 4}),
        ("alpha_pattern", {"q_proj": 4}),
        ("bias", "all"),
        ("lora_bias", True),
        ("layers_to_transform", [0]),
        ("trainable_token_indices", 1),
        ("trainable_token_indices", {"embed_tokens": [1], "lm_head": [2]}),
        ("target_parameters", ["experts.gate_up_proj"]),
        ("alora_invocation_tokens", [1]),
        ("layer_replication", [[0, 1]]),
        ("use_qalora", True),
        ("init_lora_weights", "pissa"),
        ("fan_in_fan_out", True),
        ("a_key_of_next_year", 1),
    ],
)
def test_what_is_not_there_is_named(read, key, value):
    with pytest.raises(ValueError, match=f"{FILE}: {key}="):
        read(**{key: value})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
_KEYS = (
    "r lora_alpha lora_dropout use_rslora target_modules modules_to_save bias "
    "fan_in_fan_out peft_type rank_pattern init_lora_weights "
    "trainable_token_indices"
)


@hypothesis.settings(
    deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)
@hypothesis.given(st.dictionaries(st.sampled_from(_KEYS.split()), _JSON))
def test_any_json_is_taken_or_refused_in_words(tmp_path, changes):
    model = model_of("llama")
    adapter = make_config(adapter={"rank": 8, "alpha": 16.0}).adapter
    said = {**peft_config(model, adapter, "base"), **changes}
    (tmp_path / FILE).write_text(json.dumps(said))
    with contextlib.suppress(ValueError, FileNotFoundError):
        assert read_adapter(tmp_path, model)["rank"] == said["r"]


def test_several_are_named_at_once(read):
    with pytest.raises(ValueError, match=r"use_dora=true .* bias=\"all\""):
        read(use_dora=True, bias="all")
