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
    layers: Count = key(
        4,
        "Transformer blocks.",
        known_as="num_layers n_layer n_layers num_hidden_layers depth",
    )
    hidden: Count = key(
        256,
        "Width of the residual stream.",
        known_as="hidden_size n_embd d_model dim width",
    )
    heads: Count = key(
        4,
        "Attention heads; must divide `hidden`.",
        known_as="num_heads n_head n_heads num_attention_heads",
    )
    kv_heads: Auto | Count = key(
        "auto",
        "Key and value heads; must divide `heads`. `auto`: as many as `heads`.",
    )
    ffn_hidden: Auto | Count = key(
        "auto",
        "Width inside the MLP. `auto`: 4 x `hidden` (gpt), or 8/3 x `hidden` "
        "rounded up to a multiple of 64 (llama).",
    )
    context: Count = key(
        256,
        "Tokens in a sequence.",
        known_as="block_size seq_len seq_length sequence_length n_ctx "
        "max_position_embeddings context_length",
    )
    vocab: Auto | Count = key(
        "auto",
        "Size of the vocabulary. `auto`: that of `data.tokenizer`.",
        known_as="vocab_size n_vocab",
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
