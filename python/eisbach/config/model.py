"""Section `model`: the architecture and its sizes."""

from typing import Literal

from eisbach.config.section import (
    Auto,
    Count,
    Fraction,
    Positive,
    Section,
    key,
)


class ModelSection(Section):
    """The architecture and its sizes."""

    family: Literal["gpt", "llama"] = key(
        "gpt",
        "`gpt`: layer norm, learned positions, GELU. `llama`: RMS norm, RoPE, "
        "SwiGLU, grouped queries.",
    )
    layers: Count = key(4, "Transformer blocks.")
    hidden: Count = key(256, "Width of the residual stream.")
    heads: Count = key(4, "Attention heads; must divide `hidden`.")
    kv_heads: Auto | Count = key(
        "auto",
        "Key and value heads; must divide `heads`. `auto`: as many as `heads`.",
    )
    ffn_hidden: Auto | Count = key(
        "auto",
        "Width inside the MLP. `auto`: 4 x `hidden` (gpt), or 8/3 x `hidden` "
        "rounded up to a multiple of 64 (llama).",
    )
    context: Count = key(256, "Tokens in a sequence.")
    vocab: Auto | Count = key(
        "auto", "Size of the vocabulary. `auto`: that of `data.tokenizer`."
    )
    dropout: Fraction = key(
        0.0, "Share of the residual branches' outputs that is dropped."
    )
    tie_embeddings: bool = key(
        True, "The output projection is the token embedding."
    )
    norm_eps: Positive = key(1e-5, "Added to the variance in each norm.")
    rope_theta: Positive = key(
        10000.0,
        "Base of the rotary frequencies.",
        only={"model.family": "llama"},
    )
