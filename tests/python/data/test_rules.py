import json

import pytest

from eisbach.data.rules import (
    DocumentRules,
    TokenFileInfo,
    common_rules,
    read_info,
    store_tokenizer,
    stored_tokenizer,
)
from eisbach.data.tokenizer import load_tokenizer

RULES = DocumentRules(3, (1, 2), "tokens")
INFO = TokenFileInfo("digest", 9, 1, 2, 3, RULES, ("a.txt",), {"utf-8": 1})


def test_what_is_written_is_read(tmp_path):
    (tmp_path / "a.json").write_text(INFO.as_json())
    assert read_info(tmp_path / "a") == INFO
    assert read_info(tmp_path / "b") is None


def test_a_file_of_before_says_nothing_of_rules(tmp_path):
    facts = {"tokenizer": "x", "vocab": 9, "documents": 1, "tokens": 2}
    (tmp_path / "a.json").write_text(json.dumps({**facts, "bytes": 3}))
    assert read_info(tmp_path / "a").rules is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "damaged"),
        ("[" * 200_000, "damaged"),
        ('{"tokenizer": "x", "vocab": "many"}', r"damaged: vocab"),
        (" " * (2 << 20), "is longer than the 1,048,576 bytes"),
    ],
)
def test_damage_is_named(tmp_path, text, reason):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=rf"a\.json: {reason}"):
        read_info(tmp_path / "a")


def test_sources_share_their_rules():
    def info(*rules):
        return TokenFileInfo("x", 9, 1, 2, 3, DocumentRules(*rules))

    silent = TokenFileInfo("x", 9, 1, 2, 3)
    files = [("a", None), ("b", silent), ("c", info(5)), ("d", info(5))]
    assert common_rules(files) == DocumentRules(5)
    assert common_rules(files[:2]) is None
    for other, key in (
        ((6,), "c was prepared with end_of_document=5, e with .*=6"),
        ((5, (1,)), "begin_of_document=none, e with .*=1:"),
        ((5, (), "tokens"), "special_tokens=text"),
    ):
        with pytest.raises(ValueError, match=key):
            common_rules([*files, ("e", info(*other))])


def test_a_run_keeps_its_tokenizer(tmp_path, byte_level):
    assert stored_tokenizer(tmp_path) is None
    tokenizer = load_tokenizer(byte_level, end_of_document="<|stop|>")
    store_tokenizer(tmp_path, tokenizer)
    found = stored_tokenizer(tmp_path)
    assert (found.digest, found.rules) == (tokenizer.digest, tokenizer.rules)
    (tmp_path / "tokenizer.json").write_text(
        tokenizer.source_text.replace('"version"', ' "version"')
    )
    with pytest.raises(ValueError, match="is not the tokenizer that"):
        stored_tokenizer(tmp_path)
    store_tokenizer(tmp_path, load_tokenizer("bytes"))
    assert stored_tokenizer(tmp_path).name == "bytes"
