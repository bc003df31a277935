"""Tokenizers and texts that the tests of data share."""

from __future__ import annotations

import json
import random
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

WORDS = """the quick brown fox jumps over a lazy dog while seven small rivers
run to the sea naïve straße ☃ 12 345"""


@pytest.fixture(scope="session")
def kinds() -> SimpleNamespace:
    """Chat templates of the common kinds, by their names in `templates.py`."""
    return SimpleNamespace(
        **runpy.run_path(str(Path(__file__).with_name("templates.py")))
    )


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Lines of words, always the same."""
    draw, words = random.Random(1), WORDS.split()
    return [
        " ".join(draw.choices(words, k=draw.randint(20, 90))) for _ in range(60)
    ]


@pytest.fixture(scope="session")
def byte_level(tmp_path_factory, texts):
    """Path of a byte-level BPE as GPT-2's is; <|endoftext|> is 0, <pad> 1."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=["<|endoftext|>", "<pad>", "<|stop|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    path = tmp_path_factory.mktemp("byte_level") / "tokenizer.json"
    tokenizer.save(str(path))
    return str(path)


@pytest.fixture(scope="session")
def sentence_piece(tmp_path_factory, texts):
    """Path of a tokenizer as those converted from SentencePiece are.

    A dummy prefix, byte fallback, no pre-tokenizer, and a template that puts
    <s> (1) before a text; </s> is 2.
    """
    from tokenizers import (
        Tokenizer,
        decoders,
        models,
        normalizers,
        processors,
        trainers,
    )

    special = ["<unk>", "<s>", "</s>"]
    tokenizer = Tokenizer(
        models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    tokenizer.train_from_iterator(
        [word for text in texts for word in text.split()],
        trainers.BpeTrainer(
            vocab_size=420,
            special_tokens=special + [f"<0x{i:02X}>" for i in range(256)],
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    described = json.loads(tokenizer.to_str())
    described["added_tokens"] = [
        token for token in described["added_tokens"] if token["id"] < 3
    ]
    path = tmp_path_factory.mktemp("sentence_piece") / "tokenizer.json"
    path.write_text(json.dumps(described))
    return str(path)


@pytest.fixture
def changed(tmp_path):
    """Copies a tokenizer.json with keys changed; returns its path."""

    def changed(path, **keys):
        with open(path) as stream:
            described = {**json.load(stream), **keys}
        copy = tmp_path / "changed.json"
        copy.write_text(json.dumps(described))
        return str(copy)

    return changed
