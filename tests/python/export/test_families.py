import pytest

from eisbach._C import model_families
from eisbach.config import load_config, resolve
from eisbach.export.families import FAMILIES, describe


def _model(family, *options):
    return resolve(
        load_config(None, [f"model.family={family}", "model.vocab=9", *options])
    ).model


def test_every_family_of_the_core_has_a_folder():
    assert list(FAMILIES) == model_families()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_choices_of_a_family_can_be_said(family):
    assert describe(_model(family))["model_type"] == FAMILIES[family].MODEL_TYPE


@pytest.mark.parametrize(
    ("family", "option", "nearest"),
    [
        ("gpt", "model.head_dim=32", "64"),
        ("gpt", "model.qkv_bias=false", "True"),
        ("gpt", "model.qk_norm=head", "none"),
        ("llama", "model.qkv_bias=true", "False"),
        ("llama", "model.qk_norm=head", "none"),
        ("mistral", "model.qkv_bias=true", "False"),
        ("mistral", "model.mlp_bias=true", "False"),
        ("qwen2", "model.qkv_bias=false", "True"),
        ("qwen3", "model.qk_norm=none", "head"),
        ("qwen3", "model.no_rope_every=2", "0"),
        ("llama", "model.window=4", "0"),
        ("mistral", "model={window: 4, window_from: 1}", "0"),
        ("qwen2", "model.attention_scale=0.5", "0"),
        ("mistral", "model.attention_cap=50.0", "0"),
        ("gpt", "model.final_cap=30.0", "0"),
        ("llama", "model.norm_placement=both", "pre"),
        ("qwen3", "model.norm_plus_one=true", "False"),
        ("llama", "model.activation=geglu", "swiglu"),
        ("mistral", "model.scale_embedding=true", "False"),
        ("llama", "model.rope_fraction=0.5", "1.0"),
        ("qwen3", "model.qk_norm=full", "head"),
        ("olmo2", "model.norm_placement=pre", "post"),
        ("gemma2", "model.norm_plus_one=false", "True"),
        ("gemma2", "model.window_rope_theta=500.0", "0"),
        ("gemma3", "model.qk_norm=none", "head"),
        ("apertus", "model.mlp_bias=true", "False"),
        ("phi3", "model.qkv_bias=true", "False"),
    ],
)
def test_what_a_folder_cannot_say_is_refused(family, option, nearest):
    with pytest.raises(ValueError, match="cannot be said") as caught:
        describe(_model(family, option))
    assert nearest in str(caught.value)
    assert f"model.family={family}" in str(caught.value)
