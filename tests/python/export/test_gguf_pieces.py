"""llama.cpp's tokens of SentencePiece's vocabularies, by what a file says.

What llama.cpp does is written out here: it merges the two neighbours that make
the token of the highest score, the first of equals.
"""

import itertools
import json
import random

import gguf
import pytest
from tokenizers import AddedToken, Tokenizer, normalizers
from tokenizers import pre_tokenizers as pre
from tokenizers.models import BPE

from eisbach.export.gguf_pieces import SPACE, byte_pieces
from eisbach.export.gguf_vocabulary import vocabulary

LETTERS = f"{SPACE}abcde."
TYPES = gguf.TokenType


def _pairs(vocab):
    """All of them, by token, as `transformers` lists them."""
    return [
        (token[:cut], token[cut:])
        for token in vocab
        for cut in range(1, len(token))
        if token[:cut] in vocab and token[cut:] in vocab
    ]


def _made(seed=0, *, change=lambda pairs: pairs, **options):
    """A vocabulary of pieces that are made of others, the best first."""
    chance = random.Random(seed)
    pieces = list(LETTERS)
    while len(pieces) < 120:
        piece = chance.choice(pieces) + chance.choice(pieces)
        if piece not in pieces:
            pieces.append(piece)
    letters, rest = pieces[: len(LETTERS)], pieces[len(LETTERS) :]
    chance.shuffle(rest)
    names = ["<unk>", "<s>", "</s>", *byte_pieces(), *rest, *letters]
    vocab = {name: i for i, name in enumerate(names)}
    pairs = change([p for p in _pairs(vocab) if "".join(p) in rest])
    model = BPE(
        vocab,
        pairs,
        byte_fallback=True,
        unk_token="<unk>",
        **options,
    )
    made = Tokenizer(model)
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)]
    )
    made.add_special_tokens(["<unk>", "<s>", "</s>"])
    made.add_tokens([AddedToken("<tool>", normalized=False)])
    return made


def _as_llama_cpp(found, text):
    """Ids of a text without special tokens."""
    ids = {token: i for i, token in enumerate(found.tokens)}
    parts = list((" " * found.space + text).replace(" ", SPACE))
    while True:
        best = None
        for i, pair in enumerate(itertools.pairwise(parts)):
            token = ids.get("".join(pair))
            if token is None:
                continue
            score = found.scores[token]
            if best is None or score > best[0]:
                best = score, i
        if best is None:
            break
        i = best[1]
        parts[i : i + 2] = ["".join(parts[i : i + 2])]
    return [
        token
        for part in parts
        for token in (
            [ids[part]]
            if part in ids
            else [ids[f"<0x{byte:02X}>"] for byte in part.encode()]
        )
    ]


@pytest.mark.parametrize("seed", range(4))
def test_the_same_tokens(seed):
    made = _made(seed)
    found = vocabulary(made.to_str(), made.get_vocab_size())
    assert (found.kind, found.space, found.remarks) == ("llama", True, [])
    chance = random.Random(seed)
    for _ in range(200):
        text = "".join(
            chance.choice(" abcde.é") for _ in range(chance.randint(1, 30))
        )
        assert _as_llama_cpp(found, text) == made.encode(text).ids, text


def test_runs_of_spaces_have_one_score():
    """As in the vocabularies of Llama, where their pairs mix."""
    runs = [SPACE * length for length in (2, 4, 8, 5, 3, 6, 7)]
    vocab = {n: i for i, n in enumerate([*byte_pieces(), SPACE, "a", *runs])}
    pairs = sorted(_pairs(vocab), key=lambda pair: len(pair[0]))
    made = Tokenizer(BPE(vocab, pairs, byte_fallback=True))
    made.normalizer = normalizers.Replace(" ", SPACE)
    found = vocabulary(made.to_str(), len(vocab))
    for length in range(1, 40):
        for text in (" " * length, "a" + " " * length + "a"):
            assert _as_llama_cpp(found, text) == made.encode(text).ids, length


def test_what_tokens_are():
    made = _made()
    found = vocabulary(made.to_str(), made.get_vocab_size() + 1)
    types = dict(zip(found.tokens, found.types, strict=True))
    assert types["<unk>"] == TYPES.UNKNOWN
    assert types["<s>"] == types["</s>"] == TYPES.CONTROL
    assert types["<0x0A>"] == TYPES.BYTE
    assert types["<tool>"] == TYPES.USER_DEFINED
    assert types["a"] == TYPES.NORMAL
    assert found.types[-1] == TYPES.UNUSED
    assert found.tokens[found.unknown] == "<unk>"
    assert found.tokens[found.never] == "<0xFF>"


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        (lambda pairs: pairs[:40] + pairs[41:], {}, "no merge makes"),
        (lambda pairs: pairs[::2] + pairs[1::2], {}, "are apart"),
        (lambda pairs: pairs, {"ignore_merges": True}, "ignore_merges"),
    ],
)
def test_what_sentencepiece_would_merge_otherwise(change, options, reason):
    text = _made(change=change, **options).to_str()
    with pytest.raises(ValueError, match=reason):
        vocabulary(text, 1000)


def _spelled(normalizer=None, splitter=None):
    values = json.loads(_made().to_str())
    values["normalizer"], values["pre_tokenizer"] = (
        one and json.loads(one.__getstate__()) for one in (normalizer, splitter)
    )
    return json.dumps(values)


@pytest.mark.parametrize(
    ("normalizer", "splitter", "space", "remark"),
    [
        (normalizers.Replace(" ", SPACE), None, False, None),
        (normalizers.Replace(" ", SPACE),
         pre.Split(" ", "merged_with_previous"), False, None),
        (None, pre.Metaspace(prepend_scheme="never", split=False), False, None),
        (None, pre.Metaspace(prepend_scheme="first", split=False), True,
         "before the text"),
        (None, pre.Metaspace(prepend_scheme="always", split=False), True,
         "before each part"),
    ],
)  # fmt: skip
def test_how_a_text_begins(normalizer, splitter, space, remark):
    found = vocabulary(_spelled(normalizer, splitter), 1000)
    assert found.space == space
    assert [remark in one for one in found.remarks] == [True] * bool(remark)


@pytest.mark.parametrize(
    ("normalizer", "splitter", "reason"),
    [
        (normalizers.NFKC(), None, "normalizes text"),
        (None, None, "does not spell a space"),
        (None, pre.Metaspace(split=True), "splits text at spaces"),
        (normalizers.Replace(" ", SPACE), pre.Digits(), "rule of its own"),
    ],
)
def test_other_beginnings_are_refused(normalizer, splitter, reason):
    with pytest.raises(ValueError, match=reason):
        vocabulary(_spelled(normalizer, splitter), 1000)


def test_a_byte_that_is_missing():
    values = json.loads(_made().to_str())
    del values["model"]["vocab"]["<0x41>"]
    with pytest.raises(ValueError, match="<0x41>"):
        vocabulary(json.dumps(values), 1000)
