"""Section `model`: the architecture and its sizes."""

from typing import Annotated, Literal

from pydantic import Field, create_model

from eisbach.config.section import (
    Auto,
    Count,
    FilePath,
    Fraction,
    Layers,
    Natural,
    NonNegative,
    Positive,
    Section,
    Text,
    key,
)

_FAMILIES = (
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "smollm3",
    "phi3",
    "gemma2",
    "gemma3",
    "olmo2",
    "apertus",
)
_ROTARY = {"model.family": _FAMILIES}
_SCALED = {"model.rope_scaling": ("linear", "llama3", "yarn", "longrope")}
_STRETCHED = {"model.rope_scaling": ("llama3", "yarn", "longrope")}
_LLAMA3 = {"model.rope_scaling": "llama3"}
_YARN = {"model.rope_scaling": "yarn"}
_SHARPENED = {"model.rope_scaling": ("yarn", "longrope")}
_LONGROPE = {"model.rope_scaling": "longrope"}


class _Sizes(Section):
    family: Literal[
        "gpt",
        "llama",
        "mistral",
        "qwen2",
        "qwen3",
        "smollm3",
        "phi3",
        "gemma2",
        "gemma3",
        "olmo2",
        "apertus",
    ] = key(
        "gpt",
        "`gpt`: layer norm, learned positions, GELU. `llama`: RMS norm, "
        "RoPE, SwiGLU, grouped queries; so are `mistral`, `qwen2` with "
        "biases in query, key and value, `qwen3` with a norm of each "
        "query and key head, `smollm3` with no positions in every fourth "
        "layer, and `phi3`. `gemma2` and `gemma3`: four norms of 1 + w in a "
        "block, GEGLU, scaled embeddings, windows. `olmo2`: norms behind "
        "attention and MLP, and of all query and all key heads together. "
        "`apertus`: xIELU and no gate.",
    )
    layers: Layers = key(
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
        "Attention heads.",
        known_as="num_heads n_head n_heads num_attention_heads",
    )
    kv_heads: Auto | Count = key(
        "auto",
        "Key and value heads; must divide `heads`. `auto`: as many as `heads`.",
    )
    head_dim: Auto | Count = key(
        "auto",
        "Width of a head. `auto`: `hidden` / `heads`, where `heads` must "
        "divide it.",
    )
    ffn_hidden: Auto | Count = key(
        "auto",
        "Width inside the MLP. `auto`: 4 x `hidden` (gpt), or 8/3 x `hidden` "
        "rounded up to a multiple of 64 (the others, which have a gate).",
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
    add_tokens: list[Text] = key(
        [],
        "Texts that become one token each; their ids follow the tokenizer's "
        "last, and the tables of a model that is read get rows for them, the "
        "mean of the others. Under adapters only these rows are trained.",
        known_as="new_tokens",
    )
    add_special_tokens: list[Text] = key(
        [],
        "The same of special tokens, behind them: in a plain text their text "
        "stays text, in conversations it is the token.",
        known_as="new_special_tokens additional_special_tokens "
        "extra_special_tokens",
    )
    first_added_token: Auto | Natural = key(
        "auto",
        "Id of the first of both. `auto`: one more than the tokenizer's last; "
        "nothing else works, but a run that goes on remembers it.",
    )
    dropout: Fraction = key(
        0.0, "Share of the residual branches' outputs that is dropped."
    )
    tie_embeddings: bool = key(
        True, "The output projection is the token embedding."
    )
    norm_eps: Positive = key(1e-5, "Added to the variance in each norm.")
    norm_placement: Literal["auto", "pre", "post", "both"] = key(
        "auto",
        "Whether attention and MLP have a norm of what they take, of what they "
        "give, or of both. `auto`: as `family` has.",
    )
    norm_plus_one: Auto | bool = key(
        "auto",
        "Whether norms multiply by 1 + their weight. `auto`: as `family` does.",
    )
    activation: Literal["auto", "gelu", "swiglu", "geglu", "xielu"] = key(
        "auto",
        "Of the MLP: GELU (the tanh form), or SiLU or GELU of a gate beside "
        "it, or xIELU, whose slopes are learned. `auto`: as `family` has.",
    )
    scale_embedding: Auto | bool = key(
        "auto",
        "Whether rows of the token embedding are multiplied by sqrt(`hidden`), "
        "rounded to the compute type. `auto`: as `family` does.",
    )
    qkv_bias: Auto | bool = key(
        "auto",
        "Whether the query, key and value projections have biases. `auto`: as "
        "`family` has.",
    )
    output_bias: Auto | bool = key(
        "auto", "The same of the projection behind attention."
    )
    mlp_bias: Auto | bool = key("auto", "The same of the MLP's projections.")
    qk_norm: Literal["auto", "none", "head", "full"] = key(
        "auto",
        "`head`: each query and key head is RMS-normalised before it is "
        "rotated; `full`: all query heads together, and all key heads. "
        "`auto`: as `family` does.",
    )
    rope_theta: Positive = key(
        10000.0, "Base of the rotary frequencies.", only=_ROTARY
    )
    rope_fraction: Annotated[float, Field(gt=0, le=1)] = key(
        1.0,
        "Of the numbers of a head, the first so many are rotated.",
        only=_ROTARY,
        known_as="partial_rotary_factor",
    )
    rope_scaling: Literal["none", "linear", "llama3", "yarn", "longrope"] = key(
        "none",
        "How rotary frequencies are changed for a longer context than that of "
        "the first training.",
        only=_ROTARY,
    )
    rope_factor: Annotated[float, Field(ge=1)] = key(
        1.0, "How many times longer.", only=_SCALED
    )
    rope_original_context: Natural = key(
        0, "Tokens of the first training's context.", only=_STRETCHED
    )
    rope_low_frequency: Positive = key(
        1.0,
        "Pairs of fewer turns in `rope_original_context` are slow: divided by "
        "`rope_factor`.",
        only=_LLAMA3,
    )
    rope_high_frequency: Positive = key(
        4.0, "Pairs of more turns are fast: as they were.", only=_LLAMA3
    )
    rope_beta_slow: Positive = key(1.0, "As `rope_low_frequency`.", only=_YARN)
    rope_beta_fast: Positive = key(
        32.0, "As `rope_high_frequency`.", only=_YARN
    )
    rope_attention_factor: NonNegative = key(
        0.0,
        "Multiplies queries and keys; 0 for 0.1 ln(`rope_factor`) + 1 of "
        "yarn, sqrt(1 + ln(`rope_factor`) / ln(`rope_original_context`)) of "
        "longrope.",
        only=_SHARPENED,
    )
    rope_short_factors: list[Positive] = key(
        [],
        "What the frequency of each rotated pair is divided by where `context` "
        "is at most `rope_original_context`.",
        only=_LONGROPE,
    )
    rope_long_factors: list[Positive] = key(
        [], "The same where `context` is longer.", only=_LONGROPE
    )
    no_rope_every: Auto | Natural = key(
        "auto",
        "One layer in so many, the last of each, has no rotary positions; 0: "
        "none. `auto`: as `family` has.",
    )
    window: Auto | Natural = key(
        "auto",
        "Keys that a query sees at most, its own counted; 0: all before it. "
        "`auto`: as `family` has.",
        known_as="sliding_window",
    )
    window_from: Auto | Natural = key(
        "auto",
        "The first layer that has the window. `auto`: as `family` has.",
        known_as="max_window_layers",
    )
    window_full_every: Auto | Natural = key(
        "auto",
        "One layer in so many, the last of each, sees all in spite of "
        "`window`; 0: none. `auto`: as `family` has.",
    )
    window_rope_theta: Auto | NonNegative = key(
        "auto",
        "Base of the rotary frequencies in layers with the window, which no "
        "`rope_scaling` changes there; 0: as in the other layers. `auto`: as "
        "`family` has.",
        known_as="rope_local_base_freq",
    )
    attention_scale: Auto | NonNegative = key(
        "auto",
        "What products of queries and keys are multiplied by; 0: "
        "1 / sqrt(`head_dim`). `auto`: as `family` has.",
    )
    attention_cap: Auto | NonNegative = key(
        "auto",
        "Scores become cap x tanh(score / cap); 0: they stay as they are. "
        "`auto`: as `family` has.",
        known_as="attn_logit_softcapping",
    )
    final_cap: Auto | NonNegative = key(
        "auto",
        "The same of the logits.",
        known_as="final_logit_softcapping",
    )


# `from` is no name that a class body could give.
ModelSection = create_model(
    "ModelSection",
    __base__=_Sizes,
    __doc__="The architecture, its sizes, and where its weights are from.",
    __module__=__name__,
    **{
        "from": (
            FilePath,
            key(
                "none",
                "Folder of Hugging Face's form that the weights are from; "
                "what its `config.json` says of the model need not be said "
                "again, and its tokenizer is that of the run unless "
                "`data.tokenizer` names one. `none`: weights are random.",
                known_as="pretrained model_name_or_path "
                "pretrained_model_name_or_path base_model init_from",
            ),
        )
    },
)
