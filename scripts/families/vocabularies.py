"""Tokenizers as Hugging Face's files, from the vocabularies of llama.cpp.

Its converter knows byte-level tokenizers by what they make of a text, so one
that is made up is none for it. The source of llama.cpp holds vocabularies
without a model, `models/ggml-vocab-*.gguf`, of tokenizers that are in use.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers.models import BPE

_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# How text is split before bytes are merged; None: as GPT-2 does.
_RULES = {
    "gpt-2": None,
    "llama-bpe": _LETTERS + r"\p{N}{1,3}" + _REST,
    "qwen2": _LETTERS + r"\p{N}" + _REST,
}
_NORMAL, _CONTROL = 1, 3


def write_vocabulary(
    file: Path, folder: Path, name: str, *, space: bool = True
) -> int:
    """Writes `tokenizer.json`, its configuration and `tokenizer.model`.

    Args:
      file: Of llama.cpp.
      folder: Of a model.
      name: As llama.cpp has it.
      space: Of SentencePiece's: whether a text begins with a space. Gemma's
        does not.

    Returns:
      How many rows a model of this vocabulary has.
    """
    from gguf import GGUFReader

    fields = {
        key.removeprefix("tokenizer.ggml."): field
        for key, field in GGUFReader(file).fields.items()
    }
    tokens, types = (fields[key].contents() for key in ("tokens", "token_type"))
    begin, end = (
        tokens[fields[f"{key}_token_id"].contents()] for key in ("bos", "eos")
    )
    if name in _RULES:
        made = _bytes(tokens, types, fields["merges"].contents(), name)
    else:
        scores = fields["scores"].contents()
        made = _pieces(tokens, types, scores)
        spaces = normalizers.Replace(" ", "\u2581")
        made.normalizer = (
            normalizers.Sequence([normalizers.Prepend("\u2581"), spaces])
            if space
            else spaces
        )
        model = _model(tokens, types, scores)
        model.normalizer_spec.add_dummy_prefix = space
        (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    made.add_special_tokens(
        [
            AddedToken(token, special=True, normalized=False)
            for token, kind in zip(tokens, types, strict=True)
            if kind == _CONTROL
        ]
    )
    if name == "llama-bpe":
        made.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A",
            special_tokens=[(begin, made.token_to_id(begin))],
        )
    made.save(str(folder / "tokenizer.json"))
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": begin,
        "eos_token": end,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    return len(tokens)


def _bytes(
    tokens: list[str], types: list[int], merges: list[str], name: str
) -> Tokenizer:
    rule = _RULES[name]
    vocab = {t: i for i, t in enumerate(tokens) if types[i] == _NORMAL}
    pairs = [tuple(merge.split(" ")) for merge in merges]
    made = Tokenizer(BPE(vocab, pairs, ignore_merges=name == "llama-bpe"))
    bytes_ = pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=rule is None
    )
    made.pre_tokenizer = bytes_
    if rule:
        split = pre_tokenizers.Split(Regex(rule), "isolated")
        made.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    if name == "qwen2":
        made.normalizer = normalizers.NFC()
    made.decoder = decoders.ByteLevel()
    return made


def _pieces(
    tokens: list[str], types: list[int], scores: list[float]
) -> Tokenizer:
    """As transformers makes one of a `tokenizer.model`."""
    vocab = {token: i for i, token in enumerate(tokens)}
    merges = sorted(
        (-scores[vocab[token]], len(token[:cut]), (token[:cut], token[cut:]))
        for i, token in enumerate(tokens)
        if types[i] == _NORMAL
        for cut in range(1, len(token))
        if token[:cut] in vocab and token[cut:] in vocab
    )
    pairs: list[Any] = [pair for *_, pair in merges]
    made = Tokenizer(
        BPE(vocab, pairs, byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    )
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("\u2581", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return made


def _model(tokens: list[str], types: list[int], scores: list[float]) -> Any:
    """Returns SentencePiece's own file."""
    from sentencepiece import sentencepiece_model_pb2 as format_

    made = format_.ModelProto()
    for token, kind, score in zip(tokens, types, scores, strict=True):
        made.pieces.add(piece=token, score=score, type=kind)
    made.trainer_spec.model_type = format_.TrainerSpec.BPE
    made.trainer_spec.byte_fallback = True
    made.trainer_spec.vocab_size = len(tokens)
    made.normalizer_spec.name = "identity"
    made.normalizer_spec.remove_extra_whitespaces = False
    return made
