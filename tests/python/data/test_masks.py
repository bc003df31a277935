import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from eisbach.data.masks import encode_marked
from eisbach.data.rules import DocumentRules
from eisbach.data.spans import Marked
from eisbach.data.tokenizer import ByteTokenizer, load_tokenizer


def trained(tokenizer, document):
    ((ids, mask),) = encode_marked(tokenizer, [document])
    assert len(ids) == len(mask)
    return tokenizer.decode([i for i, m in zip(ids, mask, strict=True) if m])


def test_bytes_of_a_character_go_together():
    document = Marked("ü☃é☃", [(1, 3)])
    assert trained(ByteTokenizer(), document) == "☃é"
    assert trained(ByteTokenizer(), Marked("abc", [])) == ""


@pytest.mark.parametrize("name", ["byte_level", "sentence_piece"])
def test_texts_of_real_kinds_of_tokenizers(name, request):
    tokenizer = load_tokenizer(request.getfixturevalue(name))
    before, said, after = "the quick naïve ", "☃ fox straße", "\n12 345"
    document = Marked(
        before + said + after, [(len(before), len(before + said))]
    )
    assert trained(tokenizer, document).strip() == said


def test_special_tokens_are_tokens_and_none_is_added(byte_level):
    tokenizer = load_tokenizer(byte_level, special_tokens="tokens")
    text = "<|stop|>the fox<|endoftext|>"
    ((ids, mask),) = encode_marked(tokenizer, [Marked(text, [(8, len(text))])])
    assert ids[0] == 2
    assert ids[-1] == 0
    assert (ids == 0).sum() == 1
    assert mask.tolist() == [0] + [1] * (len(ids) - 1)


def words_of(*vocab):
    tokenizer = Tokenizer(
        models.WordLevel({w: i for i, w in enumerate(vocab)}, unk_token="?")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split("|", "removed")
    return tokenizer


def test_a_token_over_a_border(tmp_path):
    """`ab` begins before the span, `cd` ends behind it."""
    words_of("?", "ab", "cd").save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_tokenizer(str(tmp_path))
    ((ids, mask),) = encode_marked(tokenizer, [Marked("ab|cd", [(1, 4)])])
    assert ids.tolist() == [1, 2]
    assert mask.tolist() == [1, 0]


def test_two_texts_begin_and_end_as_documents_do():
    tokenizer = ByteTokenizer(DocumentRules(256, (257,)))
    ((ids, mask),) = encode_marked(tokenizer, [Marked("ab", [(1, 2)], True)])
    assert ids.tolist() == [257, 97, 98, 256]
    assert mask.tolist() == [0, 0, 1, 1]
