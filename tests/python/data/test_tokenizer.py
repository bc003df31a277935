import numpy as np
import pytest

from eisbach.data.tokenizer import load_tokenizer

TEXTS = [b"the cat sat", "naïve ☃".encode(), b"", b"\xff\xfe", b"a\n" * 700]


def test_bytes():
    tokenizer = load_tokenizer("bytes")
    assert (tokenizer.vocab, tokenizer.end_of_document) == (256, None)
    assert tokenizer.begin_of_document == ()
    for text in TEXTS:
        tokens = tokenizer.encode(text)
        assert tokens.dtype == np.uint8
        assert tokens.tobytes() == text
    assert (
        tokenizer.decode([0xE2, 0x98, 0x83, 0xFF])
        == "☃\N{REPLACEMENT CHARACTER}"
    )
    assert tokenizer.prompt("ü") == [195, 188]


@pytest.mark.parametrize(
    "wish", [{"end_of_document": "<s>"}, {"begin_of_document": "<s>"}]
)
def test_bytes_have_no_special_tokens(wish):
    with pytest.raises(ValueError, match="bytes tokenizer has no token '<s>'"):
        load_tokenizer("bytes", **wish)


def test_rules_are_part_of_the_key(byte_level):
    keys = {
        load_tokenizer(byte_level, **wish).key
        for wish in (
            {},
            {"end_of_document": "<|stop|>"},
            {"begin_of_document": "<|stop|>"},
            {"special_tokens": "tokens"},
        )
    }
    assert len(keys) == 4
    digests = {
        load_tokenizer(byte_level, end_of_document=end).digest
        for end in (None, "<|stop|>")
    }
    assert len(digests) == 1


def test_ids_that_are_no_bytes_are_shown():
    assert load_tokenizer("bytes").decode([300, 104, 105, -1]) == "<300>hi<-1>"
