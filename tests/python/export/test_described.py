"""Files of others may say anything: what is wrong is told, nothing crashes."""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eisbach import _C
from eisbach.export.carried import read_carried
from eisbach.export.described import Described
from eisbach.export.families import FAMILIES, describe
from eisbach.export.reading import read_described, read_ends
from eisbach.export.tensors import Tensors

# Of any type, and those that arithmetic trips over.
VALUES = st.sampled_from(
    [None, True, False, 0, -1, 1, 3, 0.5, -2.5, 1e400, float("nan"), 10**12,
     2**63, 10**400, "", "4", "x", [], [1], ["x"], [None, {}], [[]], {},
     {"a": 1}, {"rope_type": "yarn"}, {"rope_type": ["x"]},
     {"rope_type": "llama3", "factor": "x", "rope_theta": []},
     {"sliding_attention": 3, "full_attention": []}]
)  # fmt: skip
# Keys that a family may have besides those of its own `config.json`.
MORE = (
    "sliding_window", "rope_scaling", "layer_types", "no_rope_layers",
    "partial_rotary_factor", "rope_local_base_freq", "use_sliding_window",
    "sliding_window_pattern", "no_rope_layer_interval", "kv_lora_rank",
    "quantization_config", "eos_token_id",
)  # fmt: skip
quick = settings(
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=60,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
    ],
)


@pytest.fixture(scope="module")
def said(models):
    """What `config.json` says of a model of each family."""
    return {name: describe(models.tiny(name)) for name in FAMILIES}


@quick
@given(data=st.data(), family=st.sampled_from(list(FAMILIES)))
def test_any_value_of_any_key(said, tmp_path, data, family):
    values = dict(said[family])
    for _ in range(data.draw(st.integers(1, 2))):
        key = data.draw(st.sampled_from([*values, *MORE]))
        inner = values.get(key)
        if isinstance(inner, dict) and inner and data.draw(st.booleans()):
            name = data.draw(st.sampled_from(list(inner)))
            values[key] = inner | {name: data.draw(VALUES)}
        else:
            values[key] = data.draw(VALUES)
    (tmp_path / "config.json").write_text(json.dumps(values))
    for read in (read_described, read_ends):
        with contextlib.suppress(ValueError):
            read(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("num_hidden_layers", "4", "whole number from 0 to 65536"),
        ("num_hidden_layers", 10**12, "whole number from 0 to 65536"),
        ("rms_norm_eps", [1], "is no number"),
        ("tie_word_embeddings", "no", "is no true or false"),
        ("rope_parameters", 3, "rope_parameters=3 is no object"),
        ("rope_parameters", {"rope_theta": "x"}, 'rope_theta="x" is no number'),
    ],
)
def test_a_value_of_another_type_is_named(said, tmp_path, key, value, reason):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**said["llama"], key: value}))
    with pytest.raises(ValueError, match=reason):
        read_described(tmp_path)


@quick
@given(
    index=st.recursive(
        st.none() | st.text(max_size=3) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["weight_map", "metadata", "a"]),
                inner,
                max_size=2,
            )
        ),
        max_leaves=6,
    )
)
def test_any_index(tmp_path, index):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises((ValueError, OSError)) as caught:
        Tensors(tmp_path)
    assert "model" in str(caught.value)


def test_parts_that_are_no_files(tmp_path):
    path = tmp_path / "model.safetensors.index.json"
    for name in (3, None, ["x"], "", ".", "..", "a/b", "\0"):
        path.write_text(json.dumps({"weight_map": {"a": name}}))
        with pytest.raises((ValueError, OSError)) as caught:
            Tensors(tmp_path)
        assert "model.safetensors.index.json" in str(caught.value)
    path.write_text('{"weight_map": {}}')
    with pytest.raises(ValueError, match="weight_map names no file"):
        Tensors(tmp_path)


@quick
@given(content=st.binary(max_size=20) | st.sampled_from([b"[]", b"3", b'"x"']))
def test_any_bytes(tmp_path, content):
    """Of a configuration and of the weights."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"config\.json"):
        Described(tmp_path / "config.json")
    with pytest.raises(ValueError, match=r"config\.json"):
        read_carried(tmp_path)
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        _C.read_safetensors(tmp_path / "model.safetensors")
