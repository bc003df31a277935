import os

import pytest

from eisbach.config import load_config
from eisbach.data.named import check_named
from eisbach.data.prepare import write_token_file
from eisbach.data.tokenizer import ByteTokenizer, load_tokenizer


@pytest.fixture
def prefix(tmp_path):
    write_token_file(tmp_path / "books", [b"abcdef"], ByteTokenizer())
    return tmp_path / "books"


def check(*overrides, tokenizer="bytes"):
    """Checks, and says in an error what a user sees."""
    config = load_config(None, overrides)
    with config.located():
        check_named(config, load_tokenizer(tokenizer))


def refused(*overrides, **options):
    with pytest.raises(ValueError, match=r".") as caught:
        check(*overrides, **options)
    return str(caught.value)


NONE = "data.validation=none"


def test_what_is_not_there_is_named(prefix):
    wrong = f"{prefix.parent}/boks"
    message = f"{wrong}: no such file, folder or prefix; closest: {prefix}"
    assert refused(f"data.train={wrong}") == (
        f"command line: data.train: {message}"
    )
    assert refused(f"data.validation={wrong}") == (
        f"command line: data.validation: {message}"
    )
    assert refused(f"data.train=[{{path: {wrong}}}]", NONE) == (
        f"command line: data.train: {message}"
    )
    assert refused("data.train=/no/such/place", NONE) == (
        "command line: data.train: /no/such/place: no such file, folder or "
        "prefix"
    )


def test_half_a_token_file_is_told(prefix):
    prefix.with_suffix(".bin").unlink()
    assert f"{prefix}: there is no {prefix}.bin;" in refused(
        f"data.train={prefix}", NONE
    )


def test_a_text_must_be_one_that_can_be_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").mkdir()
    for name, what in (
        (tmp_path / "fifo", "is a FIFO, not a regular file"),
        ("/dev/zero", "is a device, not a regular file"),
        (tmp_path / "empty", "no file is a type of text"),
    ):
        message = refused(f"data.train={name}")
        assert message.startswith(f"command line: data.train: {name}: {what}")
        assert "`eisbach data prepare` has options" in message


def test_what_is_prepared_has_nothing_held_out(prefix):
    message = refused(f"data.train={prefix}")
    assert f"{prefix}-validation, or `none`" in message
    assert message.startswith("default: data.validation: ")
    check(f"data.train={prefix}", NONE)
    check(f"data.train={prefix}", f"data.validation={prefix}")
    assert "nothing to train on" in refused("data.train=none", NONE)


# Bytes may stand for a tokenizer that nobody knows, but not of a text that the
# run makes bytes of.
@pytest.mark.parametrize("kind", ["auto", "text", "validation"])
def test_a_vocabulary_is_that_of_what_is_prepared(prefix, byte_level, kind):
    text = prefix.parent / "a.txt"
    text.write_text("text")
    keys = {
        "auto": [],
        "text": [f"data.train={text}"],
        "validation": [f"data.train={prefix}", f"data.validation={text}"],
    }[kind]
    assert refused(*keys, "model.vocab=100").startswith(
        "command line: model.vocab: model.vocab=100 is less than the "
        "vocabulary of 256 of data.tokenizer=bytes"
    )
    check(*keys, "model.vocab=256")
    check(f"data.train={prefix}", NONE, "model.vocab=100")
    assert "model.vocab=100" in refused(
        f"data.train={prefix}", NONE, "model.vocab=100", tokenizer=byte_level
    )
