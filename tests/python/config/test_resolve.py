import pytest

from eisbach.config import load_config, resolve


def test_sizes_follow_from_the_family():
    gpt = resolve(load_config(None, ["model.hidden=96"]), vocab=256)
    assert (gpt.model.kv_heads, gpt.model.ffn_hidden) == (4, 384)
    assert gpt.model.vocab == 256
    assert gpt.origin("model.ffn_hidden") == "derived: 4 x model.hidden"
    llama = resolve(load_config(None, ["model.family=llama"]))
    assert llama.model.ffn_hidden == 704
    assert llama.model.vocab == "auto"


def test_what_is_given_stays():
    given = ["model.kv_heads=2", "model.ffn_hidden=100", "model.vocab=300"]
    config = resolve(load_config(None, given), vocab=256)
    assert config.model.kv_heads == 2
    assert config.model.ffn_hidden == 100
    assert config.model.vocab == 300
    assert config.origin("model.vocab") == "command line"


@pytest.mark.parametrize(
    ("file", "name"), [("a/b/gpt.yaml", "gpt"), (None, "run")]
)
def test_run_is_named_after_the_file(file, name):
    assert resolve(load_config(), file=file).run.name == name
