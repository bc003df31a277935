"""The tokens of chunks, stitched, are those of the whole text."""

import json
import random

import pytest
from tokenizers import (
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from eisbach.data import file_tokenizer
from eisbach.data import stitch as module
from eisbach.data.chunks import chunks
from eisbach.data.file_tokenizer import FileTokenizer
from eisbach.data.stitch import encode_chunks, stitch

WORDS = """the quick brown fox jumps over a lazy dog while seven rivers run to
sea naïve straße ☃ 12 345 1234567 .Net don't"""
SPACES = ["\n", "\n\n", " ", "   ", "\t\t", ".\n\n", "!!", "  \n  "]
# Of Llama 3: digits in threes, line ends at the end of what is before them.
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def text_of(seed: int, length: int) -> str:
    """Words, and what tokenizers treat in ways of their own."""
    draw, words = random.Random(seed), WORDS.split()
    parts = []
    while sum(map(len, parts)) < length:
        kind = draw.random()
        if kind < 0.7:
            parts.append(" ".join(draw.choices(words, k=draw.randint(1, 20))))
        elif kind < 0.8:
            parts.append(draw.choice(SPACES) * draw.randint(1, 9))
        elif kind < 0.85:
            digits = draw.choices("0123456789", k=draw.randint(1, 40))
            parts.append("".join(digits))
        elif kind < 0.9:
            start = draw.choice([0x4E00, 0x3042, 0x1F600, 0x300, 0xDF])
            letters = draw.choices(range(start, start + 40), k=15)
            parts.append("".join(map(chr, letters)))
        else:
            parts.append(
                draw.choice(
                    [" ", "<|end|>", "</s>", "a" * 50, "=" * 60, " " * 70]
                )
            )
    return "".join(parts)


def byte_level(pre_tokenizer, normalizer=None):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text_of(0, 8_000)], trainer)
    return tokenizer


def split_then_bytes():
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA_3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def sentence_piece(pre_tokenizer=None, normalizer=None):
    tokenizer = Tokenizer(
        models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    )
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<unk>", "<s>", "</s>"]
        + [f"<0x{i:02X}>" for i in range(256)],
        limit_alphabet=40,
        show_progress=False,
    )
    words = text_of(0, 8_000).replace(" ", " ▁").split()
    tokenizer.train_from_iterator(words, trainer)
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    described = json.loads(tokenizer.to_str())
    described["added_tokens"] = described["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(described))


def dummy_prefix():
    return normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )


def unigram(**options):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=300,
        special_tokens=["<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator([text_of(0, 8_000)], trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(**options)
    return tokenizer


def word_piece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[UNK]"], show_progress=False
    )
    tokenizer.train_from_iterator([text_of(0, 8_000)], trainer)
    return tokenizer


KINDS = {
    "gpt-2": lambda: byte_level(pre_tokenizers.ByteLevel(False)),
    "gpt-2 with a prefix space": lambda: byte_level(
        pre_tokenizers.ByteLevel(True)
    ),
    "llama-3": lambda: byte_level(split_then_bytes()),
    "qwen": lambda: byte_level(split_then_bytes(), normalizers.NFC()),
    "lower case, spaces joined": lambda: byte_level(
        pre_tokenizers.ByteLevel(False),
        normalizers.Sequence(
            [
                normalizers.NFKD(),
                normalizers.StripAccents(),
                normalizers.Lowercase(),
                normalizers.Strip(),
                normalizers.Replace(Regex(" {2,}"), " "),
            ]
        ),
    ),
    "bytes, one word": lambda: byte_level(
        pre_tokenizers.ByteLevel(False, use_regex=False)
    ),
    "llama-2": lambda: sentence_piece(normalizer=dummy_prefix()),
    "sentencepiece, words": lambda: sentence_piece(
        pre_tokenizers.Split("▁", "merged_with_next"), dummy_prefix()
    ),
    "metaspace, one word": lambda: sentence_piece(
        pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    ),
    "unigram": unigram,
    "unigram, one word": lambda: unigram(split=False),
    "bert": word_piece,
}


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")
    KINDS[request.param]().save(path)
    return FileTokenizer(path)


def stitched(tokenizer, texts, *, size=700, overlap=200):
    stream = []
    for number, text in enumerate(texts):
        found = list(chunks(number, [text], size=size, overlap=overlap))
        encoded = encode_chunks(tokenizer, found, overlap=overlap)
        stream += zip(found, encoded, strict=True)
    documents, notes = [[]], []
    for ids, ends in stitch(
        tokenizer, stream, overlap=overlap, note=notes.append
    ):
        documents[-1] += ids.tolist()
        if ends:
            documents.append([])
    return documents[:-1], notes


def test_tokens_are_those_of_the_whole_text(tokenizer):
    texts = [text_of(seed, 3000 + 700 * seed) for seed in range(1, 9)]
    texts.insert(3, "")
    found, _ = stitched(tokenizer, texts)
    assert found == [tokenizer.encode(t.encode()).tolist() for t in texts]


def test_chunks_are_cut_where_they_can_be(tokenizer, monkeypatch):
    joins = 0
    join = module._join

    def counted(*arguments):
        nonlocal joins
        joins += 1
        return join(*arguments)

    monkeypatch.setattr(module, "_join", counted)
    # Three lines of words: a tokenizer that cannot be cut there never can.
    text = "\n".join(WORDS[:60] for _ in range(400))
    (found,), _ = stitched(tokenizer, [text], size=2000, overlap=400)
    assert found == tokenizer.encode(text.encode()).tolist()
    never = (
        tokenizer.apart(0, 0) is False and "Unigram" in tokenizer.source_text
    )
    one_word = len(set(tokenizer.encodings([text[:400]])[0].word_ids)) == 1
    assert (joins > 0) == (never and one_word)


def test_what_cannot_be_cut_is_encoded_whole_with_a_note(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LARGE", 5000)
    KINDS["gpt-2"]().save(str(tmp_path / "a.json"))
    tokenizer = FileTokenizer(str(tmp_path / "a.json"))
    text = "the sea " * 300 + "a" * 20_000 + " the sea" * 300
    (found,), notes = stitched(tokenizer, [text])
    assert found == tokenizer.encode(text.encode()).tolist()
    assert len(notes) == 1
    assert "no place where this tokenizer can be stopped" in notes[0]


def test_a_tokenizer_that_looks_far_is_never_cut(tmp_path):
    # Words are words where a "#" comes somewhere behind.
    ahead = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(
                Regex(r"\p{L}+(?=[\s\S]*#)|[\s\S]"), "isolated"
            ),
            pre_tokenizers.ByteLevel(False, use_regex=False),
        ]
    )
    byte_level(ahead).save(str(tmp_path / "a.json"))
    tokenizer = FileTokenizer(str(tmp_path / "a.json"))
    assert tokenizer.looks_far
    text = "the quick brown fox " * 300 + "#"
    (found,), _ = stitched(tokenizer, [text])
    assert found == tokenizer.encode(text.encode()).tolist()


@pytest.mark.parametrize(
    ("pattern", "far"),
    [
        (LLAMA_3, False),
        (r"\s+(?!\S)|\w+", False),
        (r"a+(?=b{2,3})c*", False),
        (r"(?=[*+])\((?!\+|\*)", False),
        (r"a(?=b*)", True),
        (r"a(?!(?:b|(c+)))", True),
        (r"(?<=b{2,})a", True),
    ],
)
def test_patterns_that_look_far(pattern, far):
    assert file_tokenizer._looks_far(pattern) == far
