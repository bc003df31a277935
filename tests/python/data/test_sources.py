import shutil

import pytest

from eisbach.config import load_config
from eisbach.data.prepare import write_token_file
from eisbach.data.rules import read_info
from eisbach.data.sources import (
    Located,
    locate,
    mixture,
    run_tokenizer,
)
from eisbach.data.template_files import default_template
from eisbach.data.tokenizer import ByteTokenizer, load_tokenizer


@pytest.fixture
def prefix(tmp_path):
    write_token_file(tmp_path / "a", [b"abcdef"], ByteTokenizer())
    return tmp_path / "a"


def located(*overrides, tokenizer="bytes"):
    said = []
    config = load_config(None, overrides)
    found = locate(config, load_tokenizer(tokenizer), say=said.append)
    return found, said


def described(files, *overrides, key="train"):
    config = load_config(None, ["model.vocab=256", *overrides])
    return mixture(config, key, files)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.txt").write_text("the sea " * 50)
    return tmp_path / "books"


def test_auto_is_the_standard_library(monkeypatch):
    asked = []

    def prepare_default(tokenizer):
        asked.append(tokenizer)
        return "train", "held"

    monkeypatch.setattr("eisbach.data.prepare.prepare_default", prepare_default)
    found, _ = located()
    assert found == Located([("train", 1.0)], [("held", 1.0)])
    found, _ = located("data.validation=none")
    assert found == Located([("train", 1.0)], None)
    assert len(asked) == 2


def test_sources_have_weights(prefix):
    other = str(prefix.parent / "b")
    for suffix in (".bin", ".idx"):
        shutil.copy(prefix.with_suffix(suffix), other + suffix)
    found, _ = located(
        f"data.train=[{{path: {prefix}, weight: 3}}, {{path: {other}}}]",
        f"data.validation={prefix}",
    )
    assert found.train == [(str(prefix), 3.0), (other, 1.0)]
    assert found.validation == [(str(prefix), 1.0)]
    assert described(found.train).bytes_per_token is None
    one = described(found.validation)
    assert (one.prefixes, one.weights) == ([str(prefix)], [1.0])
    assert one.bytes_per_token == 1.0


def test_what_is_named_is_checked_first(prefix):
    with pytest.raises(ValueError, match=r"or `none`.*\(data\.validation\)"):
        located(f"data.train={prefix}")


def test_a_source_comes_once(prefix):
    twice = f"[{{path: {prefix}}}, {{path: {prefix.parent}/./a}}]"
    for key in ("train", "validation"):
        config = load_config(None, [f"data.{key}={twice}"])
        with pytest.raises(ValueError, match=rf"comes twice.*data\.{key}"):
            run_tokenizer(config)


def test_texts_are_prepared_on_the_way(folder, prefix, own_cache):
    found, said = located(f"data.train={folder}")
    (train, _), (held, _) = found.train[0], found.validation[0]
    assert train.startswith(str(own_cache))
    assert read_info(train).bytes + read_info(held).bytes == 400
    assert 10 <= read_info(held).bytes <= 40
    assert any("took 1 .txt" in line for line in said)
    assert located(f"data.train={folder}") == (found, [])

    whole, _ = located(
        f"data.train={folder}/a.txt", f"data.validation={prefix}"
    )
    assert read_info(whole.train[0][0]).bytes == 400
    assert whole.validation == [(str(prefix), 1.0)]
    held, _ = located(f"data.train={prefix}", f"data.validation={folder}")
    assert read_info(held.validation[0][0]).bytes == 400
    mixed, _ = located(
        f"data.train=[{{path: {folder}, weight: 2}}, {{path: {prefix}}}]",
        "data.validation=none",
    )
    assert [weight for _, weight in mixed.train] == [2.0, 1.0]
    assert mixed.train[1][0] == str(prefix)


def test_texts_follow_the_rules_of_the_files(folder, tmp_path, byte_level):
    stop = load_tokenizer(byte_level, end_of_document="<|stop|>")
    write_token_file(tmp_path / "b", [b"the sea"], stop)
    sources = f"data.train=[{{path: {folder}}}, {{path: {tmp_path}/b}}]"
    config = load_config(
        None, [sources, f"data.tokenizer={byte_level}", "data.validation=none"]
    )
    found = locate(config, run_tokenizer(config), say=lambda line: None)
    assert read_info(found.train[0][0]).rules.end_of_document == 2


def test_a_small_vocabulary_is_found_at_the_start(prefix):
    with pytest.raises(
        ValueError, match=r"model\.vocab=255 is less than .* 256 .*data\.train"
    ):
        described([(str(prefix), 1.0)], "model.vocab=255")


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


def test_a_template_that_is_named_is_that_of_the_run(tmp_path):
    for name, text in (("a.jinja", "mine"), ("none", None)):
        config = load_config(None, [f"data.template={tmp_path / name}"])
        if text is None:
            with pytest.raises(ValueError, match="there is no chat template"):
                run_tokenizer(config)
            continue
        (tmp_path / name).write_text(text)
        assert default_template(run_tokenizer(config)) == text
        # A run that goes on has its own.
        stored = load_tokenizer("bytes")
        assert default_template(run_tokenizer(config, stored)) is None
