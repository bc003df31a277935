import numpy as np
import pytest

from eisbach.data.tokenizer import load_tokenizer

TEXTS = [b"the cat sat", "naïve ☃".encode(), b"", b"\xff\xfe", b"a\n" * 700]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        ["the cat sat on the mat"] * 9,
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<|endoftext|>", "<|stop|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return str(path)


def test_bytes():
    tokenizer = load_tokenizer("bytes")
    assert (tokenizer.vocab, tokenizer.end_of_document) == (256, None)
    for text, tokens in zip(TEXTS, tokenizer.encode_all(TEXTS), strict=True):
        assert tokens.dtype == np.uint8
        assert tokens.tobytes() == text
    assert (
        tokenizer.decode([0xE2, 0x98, 0x83, 0xFF])
        == "☃\N{REPLACEMENT CHARACTER}"
    )


def test_file_reads_back_what_it_wrote(file):
    tokenizer = load_tokenizer(file)
    assert tokenizer.vocab >= 258
    found = list(tokenizer.encode_all(TEXTS * 200))
    assert len(found) == 1000
    for text, tokens in zip(TEXTS, found, strict=False):
        assert tokens.dtype == np.uint16
        assert tokenizer.decode(tokens) == text.decode(errors="replace")
        np.testing.assert_array_equal(tokenizer.encode(text), tokens)
    assert len(found[0]) < len(TEXTS[0])


def test_end_of_document_is_found_or_chosen(file):
    assert load_tokenizer(file).end_of_document == 0
    chosen = load_tokenizer(file, end_of_document="<|stop|>")
    assert chosen.end_of_document == 1
    with pytest.raises(ValueError, match="no token '<nope>'"):
        load_tokenizer(file, end_of_document="<nope>")
    with pytest.raises(ValueError, match="bytes tokenizer has no token"):
        load_tokenizer("bytes", end_of_document="<|stop|>")


def test_what_is_no_tokenizer_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"No such file.*\(data\.tokenizer\)"):
        load_tokenizer(str(tmp_path / "no.json"))
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ValueError, match=r"a\.json: no Hugging Face"):
        load_tokenizer(str(tmp_path / "a.json"))
