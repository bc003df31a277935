import pytest

from eisbach.checkpoint.importing import _with_model, import_model
from eisbach.config import load_config, make_config, resolve

SIZES = {"layers": 3, "hidden": 24, "heads": 6, "kv_heads": 2, "vocab": 40}


@pytest.fixture
def found():
    """What a folder says."""
    return make_config(
        model={"family": "llama", "rope_theta": 5e4, **SIZES}
    ).model


def config_of(*overrides):
    return resolve(load_config(None, overrides))


def test_a_configuration_need_not_say_what_the_folder_does(found, tmp_path):
    told = _with_model(config_of("model.dropout=0.1"), found, tmp_path)
    for name, value in SIZES.items():
        assert getattr(told.model, name) == value
    assert (told.model.family, told.model.rope_theta) == ("llama", 5e4)
    assert told.model.ffn_hidden == found.ffn_hidden
    assert told.model.dropout == 0.1
    assert told.origin("model.layers") == f"derived: {tmp_path}"
    assert told.origin("model.dropout") == "command line"


def test_what_it_says_must_be_the_same(found, tmp_path):
    config = config_of(
        "model.family=llama", "model.hidden=24", "model.kv_heads=auto"
    )
    assert _with_model(config, found, tmp_path).model.kv_heads == 2
    with pytest.raises(
        ValueError,
        match=rf"command line: model\.heads=4, and {tmp_path} has 6; command "
        r"line: model\.layers=2, and .* has 3; leave out",
    ):
        _with_model(
            config_of("model.layers=2", "model.heads=4"), found, tmp_path
        )


def test_nothing_is_replaced(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match="run exists, and a run folder is"):
        import_model(tmp_path, config_of(), tmp_path / "run")
