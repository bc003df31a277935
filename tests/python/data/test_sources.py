import pytest

from eisbach.config import load_config
from eisbach.data.prepare import write_token_file
from eisbach.data.sources import mixture, run_tokenizer
from eisbach.data.tokenizer import ByteTokenizer, load_tokenizer


@pytest.fixture
def prefix(tmp_path):
    write_token_file(tmp_path / "a", [b"abcdef"], ByteTokenizer())
    return tmp_path / "a"


def read(*overrides, key="train", default=None):
    config = load_config(None, overrides)
    return mixture(config, key, default)


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
    config = load_config(None, [f"data.train={prefix}"])
    with pytest.raises(ValueError, match=r"not made by data\.tokenizer=bytes"):
        run_tokenizer(config)


def test_the_data_tells_what_ends_a_document(tmp_path, byte_level):
    for name, end in (("a", "<|stop|>"), ("b", None)):
        tokenizer = load_tokenizer(byte_level, end_of_document=end)
        write_token_file(tmp_path / name, [b"the sea"], tokenizer)
    keys = [f"data.tokenizer={byte_level}"]

    def end_of(*data):
        return run_tokenizer(load_config(None, [*keys, *data])).end_of_document

    a, b = tmp_path / "a", tmp_path / "b"
    assert end_of() == 0
    assert end_of(f"data.train={a}") == 2
    assert end_of(f"data.train=[{{path: {a}}}]", f"data.validation={a}") == 2
    assert end_of(f"data.train={b}", "data.validation=none") == 0
    with pytest.raises(ValueError, match=r"end_of_document=2.*b \(data\.val"):
        end_of(f"data.train={a}", f"data.validation={b}")
