"""A tiny model of each family, and its counterpart in transformers."""

from types import SimpleNamespace

import numpy as np
import pytest

from eisbach.config import load_config, resolve
from eisbach.export import gpt2, llama

FAMILIES = {"gpt": gpt2, "llama": llama}


def _tiny(family, *options):
    sizes = "model={layers: 2, hidden: 24, heads: 6, context: 10, vocab: 17}"
    return resolve(
        load_config(None, [sizes, f"model.family={family}", *options])
    ).model


def _parameters(model):
    """Random values under the logical names and shapes of the core."""
    width = model.hidden // model.heads
    hidden, ffn, kv = model.hidden, model.ffn_hidden, model.kv_heads * width
    shapes = {"embedding.token.weight": (model.vocab, hidden)}
    shapes["final_norm.weight"] = (hidden,)
    if not model.tie_embeddings:
        shapes["head.weight"] = (model.vocab, hidden)
    gpt = model.family == "gpt"
    if gpt:
        shapes["embedding.position.weight"] = (model.context, hidden)
        shapes["final_norm.bias"] = (hidden,)
    for i in range(model.layers):
        inner = {
            "norm1": (hidden,),
            "norm2": (hidden,),
            "attention.query": (hidden, hidden),
            "attention.key": (kv, hidden),
            "attention.value": (kv, hidden),
            "attention.output": (hidden, hidden),
            "mlp.up": (ffn, hidden),
            "mlp.down": (hidden, ffn),
        }
        if not gpt:
            inner["mlp.gate"] = (ffn, hidden)
        for name, shape in inner.items():
            shapes[f"blocks.{i}.{name}.weight"] = shape
            if gpt:
                shapes[f"blocks.{i}.{name}.bias"] = shape[:1]
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
        again = dict(module.to_ours(theirs, model))
        assert again.keys() == ours.keys()
        for name, value in ours.items():
            np.testing.assert_array_equal(again[name], value, err_msg=name)
            assert again[name].flags.c_contiguous

    return check
