"""Both dialects of rotary positions say the same."""

from pathlib import Path

import pytest

from eisbach.config import make_config
from eisbach.export.described import Described
from eisbach.export.rotary import read_rotary, rotary_config

LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
OURS = {
    "rope_theta": 5e5,
    "rope_scaling": "llama3",
    "rope_factor": 8.0,
    "rope_original_context": 8192,
    "rope_low_frequency": 1.0,
    "rope_high_frequency": 4.0,
}


def _read(values, **options):
    described = Described(Path("config.json"), values)
    found = read_rotary(described, **options)
    described.finish()
    return found


@pytest.mark.parametrize(
    "values",
    [
        {"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", **LLAMA3}},
        {"rope_theta": 5e5, "rope_scaling": {"type": "llama3", **LLAMA3}},
        {"rope_parameters": {
            "rope_type": "llama3", "rope_theta": 5e5, **LLAMA3}},
        {"rope_theta": 1.0, "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 5e5, **LLAMA3}},
    ],
)  # fmt: skip
def test_dialects(values):
    assert _read(values) == OURS


@pytest.mark.parametrize("name", ["longrope", "su", "yarn"])
def test_phi3_leaves_out_what_follows(name):
    """The factor from both contexts, of which one stands outside."""
    lists = {"short_factor": [1.0, 1.5], "long_factor": [2.0, 3.0]}
    found = _read(
        {
            "max_position_embeddings": 64,
            "original_max_position_embeddings": 16,
            "rope_scaling": {"type": name, **lists},
        },
        partial=True,
    )
    assert found == {
        "rope_theta": 1e4,
        "rope_fraction": 1.0,
        "rope_scaling": "longrope",
        "rope_factor": 4.0,
        "rope_original_context": 16,
        "rope_short_factors": [1.0, 1.5],
        "rope_long_factors": [2.0, 3.0],
        "rope_attention_factor": 0.0,
    }


def test_a_family_has_a_base_of_its_own():
    assert _read({}, default_theta=2e6) == {"rope_theta": 2e6}


@pytest.mark.parametrize(
    "model",
    [
        {"rope_theta": 500.0},
        {"family": "phi3", "rope_fraction": 0.5},
        {"family": "phi3", "rope_scaling": "longrope", "rope_factor": 4.0,
         "rope_original_context": 64, "rope_short_factors": [1.0, 1.5],
         "rope_long_factors": [2.0, 3.0], "rope_attention_factor": 1.5},
        {"rope_scaling": "linear", "rope_factor": 4.0},
        OURS,
        {"rope_scaling": "yarn", "rope_factor": 4.0,
         "rope_original_context": 64, "rope_beta_fast": 16.0},
        {"rope_scaling": "yarn", "rope_factor": 4.0,
         "rope_original_context": 64, "rope_attention_factor": 1.5},
    ],
)  # fmt: skip
def test_what_is_said_is_read_again(model):
    section = make_config(model={"family": "llama", **model}).model
    partial = section.family == "phi3"
    said = rotary_config(section, partial=partial)
    if partial:
        said["partial_rotary_factor"] = section.rope_fraction
    if section.rope_scaling == "longrope":
        said["max_position_embeddings"] = section.context
    for dialect in (
        {k: v for k, v in said.items()
         if k in ("rope_parameters", "max_position_embeddings")},
        {k: v for k, v in said.items() if k != "rope_parameters"},
    ):  # fmt: skip
        found = _read(dialect, partial=partial)
        again = make_config(model={"family": section.family, **found}).model
        assert again == section


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"rope_type": "dynamic"}, "rope_type='dynamic' is not there yet"),
        ({"rope_type": "llama3", **LLAMA3, "factor": None}, "has no factor"),
        ({"rope_type": "linear", "factor": 2.0, "beta": 1}, "beta is unknown"),
        ({"rope_type": "yarn", "factor": 2.0, "truncate": False,
          "original_max_position_embeddings": 4}, "truncate=false"),
        ({"rope_type": "default", "partial_rotary_factor": 0.5},
         "partial_rotary_factor is unknown"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused(section, problem):
    with pytest.raises(ValueError, match=problem):
        _read({"rope_parameters": section})
