"""A tiny model of each family, and its counterpart in transformers."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from tokenizers import (
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from tokenizers import models as bpe

from eisbach import _C
from eisbach.config import load_config, resolve
from eisbach.core_config import engine_config
from eisbach.export.families import FAMILIES

SIZES = (
    "model={layers: 2, hidden: 48, heads: 6, context: 16, vocab: 61, "
    "norm_eps: 1.0e-5}"
)


def _tiny(family, *options):
    sizes = "model={layers: 2, hidden: 24, heads: 6, context: 10, vocab: 17}"
    return resolve(
        load_config(None, [sizes, f"model.family={family}", *options])
    ).model


def _parameters(model):
    """Random values under the logical names and shapes of the core."""
    hidden, ffn = model.hidden, model.ffn_hidden
    wide, kv = model.heads * model.head_dim, model.kv_heads * model.head_dim
    shapes = {"embedding.token.weight": (model.vocab, hidden)}
    shapes["final_norm.weight"] = (hidden,)
    if not model.tie_embeddings:
        shapes["head.weight"] = (model.vocab, hidden)
    gpt = model.family == "gpt"
    if gpt:
        shapes["embedding.position.weight"] = (model.context, hidden)
        shapes["final_norm.bias"] = (hidden,)
    for i in range(model.layers):
        placed = {"pre": ("",), "post": ("post_",), "both": ("", "post_")}
        inner = {
            **{
                f"{where}norm{number}": (hidden,)
                for where in placed[model.norm_placement]
                for number in (1, 2)
            },
            "attention.query": (wide, hidden),
            "attention.key": (kv, hidden),
            "attention.value": (kv, hidden),
            "attention.output": (hidden, wide),
            "mlp.up": (ffn, hidden),
            "mlp.down": (hidden, ffn),
        }
        biases = {
            "norm": gpt,
            "attention.q": model.qkv_bias,
            "attention.k": model.qkv_bias,
            "attention.v": model.qkv_bias,
            "attention.o": model.output_bias,
            "mlp": model.mlp_bias,
        }
        if model.activation in ("swiglu", "geglu"):
            inner["mlp.gate"] = (ffn, hidden)
        for name, shape in inner.items():
            shapes[f"blocks.{i}.{name}.weight"] = shape
            if any(v for k, v in biases.items() if name.startswith(k)):
                shapes[f"blocks.{i}.{name}.bias"] = shape[:1]
        widths = {
            "none": {},
            "head": {"query": model.head_dim, "key": model.head_dim},
            "full": {"query": wide, "key": kv},
        }
        for name, width in widths[model.qk_norm].items():
            shapes[f"blocks.{i}.attention.{name}_norm.weight"] = (width,)
        if model.activation == "xielu":
            for name in ("alpha_p", "alpha_n"):
                shapes[f"blocks.{i}.mlp.{name}"] = (1,)
    rng = np.random.default_rng(0)
    return {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def _hugging_face(model, theirs):
    """Loads the parameters into transformers' own model, strictly."""
    import torch
    import transformers

    described = FAMILIES[model.family].config(model)
    kind = getattr(transformers, described["architectures"][0])
    with torch.device("meta"):
        net = kind(kind.config_class(**described))
    net = net.to_empty(device="cpu")
    tensors = {name: torch.from_numpy(v) for name, v in theirs.items()}
    missing, unexpected = net.load_state_dict(tensors, strict=False)
    tied = {"lm_head.weight"} if model.tie_embeddings else set()
    assert set(missing) <= tied
    assert not unexpected
    return net


@pytest.fixture(scope="session")
def models():
    """Makes configurations, random parameters, transformers' models."""
    return SimpleNamespace(
        tiny=_tiny, parameters=_parameters, hugging_face=_hugging_face
    )


@pytest.fixture(scope="session")
def check_names(models):
    """Checks names, shapes and the way back for one configuration."""

    def check(family, *options):
        model = models.tiny(family, *options)
        ours = models.parameters(model)
        module = FAMILIES[family]
        theirs = module.to_theirs(ours, model)
        models.hugging_face(model, theirs)
        again = {
            own: stored.take(theirs[stored.name])
            for own, stored in module.stored(model, theirs)
        }
        assert again.keys() == ours.keys()
        if family == "gpt" and model.kv_heads != model.heads:
            return  # GPT-2 knows no shared heads: those have become several
        for name, value in ours.items():
            np.testing.assert_array_equal(again[name], value, err_msg=name)

    return check


class _Engines:
    """Makes an engine of one rank, with random weights."""

    def __init__(self):
        self._context = _C.ParallelContext(_C.init(), _C.Mesh(1))

    def engine(self, config):
        return _C.Engine(engine_config(config), self._context)

    def __call__(self, *options):
        options = [SIZES, "precision.compute=f32", *options]
        config = resolve(load_config(None, options))
        engine = self.engine(config)
        rng = np.random.default_rng(5)
        engine.scatter(
            {
                name: rng.standard_normal(value.shape) * 0.2
                for name, value in engine.gather().items()
            }
        )
        return config, engine


@pytest.fixture(scope="session")
def make():
    """Makes configurations and engines."""
    return _Engines()


@pytest.fixture(scope="session")
def tokenizers(tmp_path_factory):
    """Names and files of tokenizers of several kinds."""
    folder = tmp_path_factory.mktemp("tokenizers")
    made = {"bpe": _byte_level(), "sentencepiece": _sentencepiece()}
    made["cuts"] = _byte_level()
    made["cuts"].enable_truncation(max_length=3)
    made["fills"] = _byte_level()
    made["fills"].enable_padding(length=300)
    made["begins"] = _byte_level()
    made["begins"].post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    for name, tokenizer in made.items():
        tokenizer.save(str(folder / f"{name}.json"))
    files = {name: str(folder / f"{name}.json") for name in made}
    return {"bytes": "bytes", **files}


def _train(tokenizer, special, **options):
    tokenizer.train_from_iterator(
        ["the quick brown fox jumps over the lazy dog"] * 5,
        trainers.BpeTrainer(
            special_tokens=special, show_progress=False, **options
        ),
    )
    return tokenizer


def _byte_level():
    made = Tokenizer(bpe.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return _train(
        made, ["<|endoftext|>"], vocab_size=290, initial_alphabet=alphabet
    )


def _sentencepiece():
    """As those that were converted: spaces as letters, one before a text."""
    made = Tokenizer(
        bpe.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    )
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    values = json.loads(_train(made, special, vocab_size=330).to_str())
    values["added_tokens"] = values["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(values))
