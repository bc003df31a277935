import pytest

from eisbach.config import load_config
from eisbach.data.prepare import write_token_file
from eisbach.data.sources import mixture
from eisbach.data.tokenizer import ByteTokenizer


@pytest.fixture
def prefix(tmp_path):
    write_token_file(tmp_path / "a", [b"abcdef"], ByteTokenizer())
    return tmp_path / "a"


def read(*overrides, key="train", default=None):
    config = load_config(None, overrides)
    return mixture(config, key, ByteTokenizer(), default)


def test_auto_is_the_default(prefix):
    found = read(default=prefix)
    assert (found.prefixes, found.weights) == ([str(prefix)], [1.0])
    assert found.bytes_per_token == 1.0
    with pytest.raises(ValueError, match=r"data\.validation"):
        read(key="validation")


def test_sources_have_weights(prefix):
    found = read(f"data.train=[{{path: {prefix}, weight: 3}}, {{path: b}}]")
    assert found.prefixes == [str(prefix), "b"]
    assert found.weights == [3.0, 1.0]
    assert found.bytes_per_token is None


def test_no_validation():
    assert read("data.validation=none", key="validation") is None


def test_another_tokenizer_is_an_error(prefix):
    info = prefix.with_suffix(".json")
    info.write_text(info.read_text().replace('"bytes"', '"other"', 1))
    with pytest.raises(ValueError, match="was not made by"):
        read(f"data.train={prefix}")
