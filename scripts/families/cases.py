"""Which models are tried: a random one of each family that people know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from support.peers import LLAMA3, LONGROPE

_THETA = {"rope_type": "default", "rope_theta": 500.0}
_GEMMA = {"head_dim": 12, "query_pre_attn_scalar": 12, "sliding_window": 5}
_LONG = {"rope_parameters": LONGROPE, "original_max_position_embeddings": 8}


@dataclass(frozen=True)
class Case:
    """A model.

    Attributes:
      name: As people call it.
      kind: As `model_type` of its `config.json` has it.
      vocabulary: Of llama.cpp, which is the most like its own.
      keys: What `config.json` says besides sizes.
      otherwise: How llama.cpp computes it, where it cannot do better.
    """

    name: str
    kind: str
    vocabulary: str
    keys: dict[str, Any] = field(default_factory=dict)
    otherwise: str = ""


CASES = (
    Case("GPT-2", "gpt2", "gpt-2"),
    Case("Llama 2", "llama", "llama-spm", {"num_key_value_heads": 6}),
    Case("Llama 3", "llama", "llama-bpe", {"rope_parameters": _THETA}),
    Case("Llama 3.1", "llama", "llama-bpe", {"rope_parameters": LLAMA3}),
    Case(
        "Llama 3.2",
        "llama",
        "llama-bpe",
        {"rope_parameters": LLAMA3, "tie_word_embeddings": True},
    ),
    Case(
        "Mistral",
        "mistral",
        "llama-spm",
        {"sliding_window": None, "head_dim": 12},
    ),
    Case(
        "Mistral with a window",
        "mistral",
        "llama-spm",
        {"sliding_window": 5},
        "llama.cpp computes Mistral without its window, so that longer texts "
        "come out otherwise",
    ),
    Case("Qwen2", "qwen2", "qwen2"),
    Case("Qwen2.5", "qwen2", "qwen2", {"tie_word_embeddings": True}),
    Case(
        "Qwen3", "qwen3", "qwen2", {"head_dim": 12, "tie_word_embeddings": True}
    ),
    Case(
        "SmolLM2",
        "llama",
        "gpt-2",
        {"rope_parameters": _THETA, "tie_word_embeddings": True},
    ),
    Case("SmolLM3", "smollm3", "llama-bpe", {"num_hidden_layers": 5}),
    Case("EuroLLM", "llama", "llama-spm", {"rms_norm_eps": 1e-5}),
    Case("Teuken", "llama", "llama-spm", {"num_key_value_heads": 3}),
    Case("Apertus", "apertus", "gpt-2", {"rope_parameters": LLAMA3}),
    Case("Phi-3 mini", "phi3", "llama-spm", {"sliding_window": None}),
    Case("Phi-3 mini 128k", "phi3", "llama-spm", _LONG),
    Case("OLMo 2", "olmo2", "gpt-2"),
    Case("Gemma 2", "gemma2", "llama-spm", _GEMMA),
    Case(
        "Gemma 3 (text)",
        "gemma3_text",
        "llama-spm",
        {**_GEMMA, "num_hidden_layers": 7},
    ),
)
