import json

import pytest
from tokenizers import Regex, Tokenizer, models, normalizers
from tokenizers import pre_tokenizers as pre

from eisbach.export.gguf_vocabulary import vocabulary

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?"
    r"[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BYTE_LEVEL = {"add_prefix_space": False}


def _tokenizer(before, *, normalizer=None, **options):
    made = Tokenizer(
        models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")], **options)
    )
    made.pre_tokenizer = before
    if normalizer:
        made.normalizer = normalizer
    made.add_special_tokens(["<|end|>"])
    return made.to_str()


def _split(regex):
    return pre.Sequence(
        [
            pre.Split(Regex(regex), "isolated"),
            pre.ByteLevel(use_regex=False, **BYTE_LEVEL),
        ]
    )


@pytest.mark.parametrize(
    ("before", "options", "name"),
    [
        (pre.ByteLevel(**BYTE_LEVEL), {}, "gpt-2"),
        (
            pre.Sequence(
                [
                    pre.Digits(individual_digits=True),
                    pre.ByteLevel(**BYTE_LEVEL),
                ]
            ),
            {},
            "smollm",
        ),
        (_split(LLAMA3), {"ignore_merges": True}, "llama-bpe"),
        (_split(LLAMA3.replace("{1,3}", "")), {}, "qwen2"),
    ],
)
def test_rules_that_llama_cpp_knows(before, options, name):
    found = vocabulary(_tokenizer(before, **options), 5)
    assert found.pre == name
    assert found.tokens == ["a", "b", "ab", "<|end|>", "[PAD4]"]
    assert found.merges == ["a b"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_tokenizer(_split(r"\w+"), ignore_merges=True), "rule of its own"),
        (_tokenizer(_split(LLAMA3)), "ignore_merges=False"),
        (_tokenizer(pre.Whitespace()), "ByteLevel"),
        (_tokenizer(pre.ByteLevel(add_prefix_space=True)), "space before"),
        (_tokenizer(pre.ByteLevel(**BYTE_LEVEL), end_of_word_suffix="</w>"),
         "end_of_word_suffix"),
        (_tokenizer(pre.ByteLevel(**BYTE_LEVEL),
                    normalizer=normalizers.NFKC()), "NFKC"),
        (json.dumps({"model": {"type": "Unigram"}}), "Unigram"),
    ],
)  # fmt: skip
def test_others_are_refused_with_the_reason(text, reason):
    with pytest.raises(ValueError, match=reason):
        vocabulary(text, 5)


def test_what_llama_cpp_leaves_as_it_is_is_said():
    text = _tokenizer(pre.ByteLevel(**BYTE_LEVEL), normalizer=normalizers.NFC())
    (remark,) = vocabulary(text, 5).remarks
    assert "NFC" in remark
    assert not vocabulary(_tokenizer(pre.ByteLevel(**BYTE_LEVEL)), 5).remarks


def test_more_tokens_than_the_model_has():
    with pytest.raises(ValueError, match="4 tokens, the model 3"):
        vocabulary(_tokenizer(pre.ByteLevel(**BYTE_LEVEL)), 3)
