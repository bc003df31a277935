"""GPT as Hugging Face's `GPT2LMHeadModel`.

Its linear layers are of the kind Conv1D: weights are [in, out], the transpose
of ours, and query, key and value are one layer, `c_attn`, in this order.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.export.stored import Stored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.config.model import ModelSection
    from eisbach.export.described import Described

    Parameters = dict[str, NDArray[Any]]

MODEL_TYPE = "gpt2"
GGUF = "gpt2"  # llama.cpp's name
# Causal masks, which old files hold as tensors.
WITHOUT_EFFECT = re.compile(r"(transformer\.)?h\.\d+\.attn\.(masked_)?bias")
_QKV = ("query", "key", "value")
# Our name inside a block, theirs, and whether the weight is transposed.
_BLOCK = (
    ("norm1", "ln_1", False),
    ("attention.output", "attn.c_proj", True),
    ("norm2", "ln_2", False),
    ("mlp.up", "mlp.c_fc", True),
    ("mlp.down", "mlp.c_proj", True),
)
# Of PEFT: layers and tables that may be adapted, and that a Conv1D is a linear
# layer whose weight is [in, out].
LAYER = "transformer.h"
ADAPTED = {
    "attention.qkv": "attn.c_attn",
    "attention.output": "attn.c_proj",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
}
STACKED = {"attention.qkv": tuple(f"attention.{part}" for part in _QKV)}
TABLES = {"embedding": "transformer.wte", "head": "lm_head"}
FAN_IN_FAN_OUT = True
_WHOLE = (
    ("embedding.token.weight", "transformer.wte.weight"),
    ("embedding.position.weight", "transformer.wpe.weight"),
    ("final_norm.weight", "transformer.ln_f.weight"),
    ("final_norm.bias", "transformer.ln_f.bias"),
)


def config(model: ModelSection) -> dict[str, Any]:
    """Returns what `config.json` says of the model."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": model.vocab,
        "n_positions": model.context,
        "n_ctx": model.context,
        "n_embd": model.hidden,
        "n_layer": model.layers,
        "n_head": model.heads,
        "n_inner": model.ffn_hidden,
        "activation_function": "gelu_new",
        "resid_pdrop": model.dropout,
        "embd_pdrop": model.dropout,
        "attn_pdrop": 0.0,
        "layer_norm_epsilon": model.norm_eps,
        "initializer_range": 0.02,
        "tie_word_embeddings": model.tie_embeddings,
    }


def to_theirs(ours: Parameters, model: ModelSection) -> Parameters:
    """Renames and reshapes logical parameters; views where it can.

    Key and value heads that several query heads share are repeated, since
    GPT-2 has as many of them as query heads.
    """
    theirs = {name: ours[own] for own, name in _WHOLE}
    if not model.tie_embeddings:
        theirs["lm_head.weight"] = ours["head.weight"]
    for i in range(model.layers):
        own, name = f"blocks.{i}", f"transformer.h.{i}"
        for part in ("weight", "bias"):
            fused = np.concatenate(
                [
                    _repeat(ours[f"{own}.attention.{p}.{part}"], p, model)
                    for p in _QKV
                ]
            )
            theirs[f"{name}.attn.c_attn.{part}"] = fused.T
            for inner, their_inner, transposed in _BLOCK:
                value = ours[f"{own}.{inner}.{part}"]
                if transposed and part == "weight":
                    value = value.T
                theirs[f"{name}.{their_inner}.{part}"] = value
    return theirs


def _repeat(
    value: NDArray[Any], projection: str, model: ModelSection
) -> NDArray[Any]:
    shared = model.heads // model.kv_heads
    if projection == "query" or shared == 1:
        return value
    width = model.head_dim
    heads = value.reshape(model.kv_heads, width, *value.shape[1:])
    return np.repeat(heads, shared, axis=0).reshape(-1, *value.shape[1:])


def sizes(described: Described) -> dict[str, Any]:
    """Reads `config.json`: the values of the section `model`."""
    hidden = described.get("n_embd")
    described.only("activation_function", "gelu_new", "gelu_pytorch_tanh")
    described.only("scale_attn_weights", True)
    described.only("scale_attn_by_inverse_layer_idx", False)
    described.only("add_cross_attention", False)
    # Says in which order and type the same product is computed.
    described.without_effect(
        "reorder_and_upcast_attn n_ctx resid_pdrop embd_pdrop attn_pdrop "
        "summary_type summary_use_proj summary_activation "
        "summary_proj_to_labels summary_first_dropout"
    )
    return {
        "family": "gpt",
        "layers": described.get("n_layer"),
        "hidden": hidden,
        "heads": described.get("n_head"),
        "ffn_hidden": described.get("n_inner", 4 * (hidden or 0)),
        "context": described.get("n_positions"),
        "vocab": described.get("vocab_size"),
        "tie_embeddings": described.get("tie_word_embeddings", True),
        "norm_eps": described.get("layer_norm_epsilon", 1e-5),
    }


def stored(
    model: ModelSection, names: Container[str]
) -> Iterator[tuple[str, Stored]]:
    """Yields each logical name and where a folder of `names` has it."""
    # Saved without the head's module they have no prefix.
    prefix = "" if "wte.weight" in names else "transformer."
    for own, name in _WHOLE:
        yield own, Stored(prefix + name.removeprefix("transformer."))
    if not model.tie_embeddings:
        yield "head.weight", Stored("lm_head.weight")
    for i in range(model.layers):
        own, name = f"blocks.{i}", f"{prefix}h.{i}"
        for part in ("weight", "bias"):
            matrix = part == "weight"
            for number, projection in enumerate(_QKV):
                yield (
                    f"{own}.attention.{projection}.{part}",
                    Stored(
                        f"{name}.attn.c_attn.{part}",
                        number * model.hidden,
                        model.hidden,
                        transposed=matrix,
                    ),
                )
            for inner, their_inner, transposed in _BLOCK:
                yield (
                    f"{own}.{inner}.{part}",
                    Stored(
                        f"{name}.{their_inner}.{part}",
                        transposed=matrix and transposed,
                    ),
                )


def describe_gguf(writer: Any, model: ModelSection) -> None:
    """Adds the family's own keys and tensors to a `gguf.GGUFWriter`."""
    writer.add_layer_norm_eps(model.norm_eps)


def for_gguf(
    name: str, value: NDArray[Any], model: ModelSection
) -> NDArray[Any]:
    """Returns one of `to_theirs`, as GGUF keeps it: [out, in] again."""
    del model
    is_conv1d = ".c_" in name and name.endswith(".weight")
    return value.T if is_conv1d else value
