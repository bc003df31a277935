"""What a family of models is whose folders are much like Llama's.

Weights have the same shapes as ours and other names. What a family's
`config.json` can say of the choices of our section `model` is in `Family`; an
export is read again, so what it cannot say is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from eisbach.export.rotary import (
    add_rope_scaling,
    read_rotary,
    rotary_config,
)
from eisbach.export.stored import Stored, rows_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eisbach.config.model import ModelSection
    from eisbach.export.described import Described

    Parameters = dict[str, NDArray[Any]]

_Names = tuple[tuple[str, str], ...]  # ours and theirs
ATTENTION = (
    ("attention.query", "self_attn.q_proj"),
    ("attention.key", "self_attn.k_proj"),
    ("attention.value", "self_attn.v_proj"),
    ("attention.query_norm", "self_attn.q_norm"),
    ("attention.key_norm", "self_attn.k_norm"),
    ("attention.output", "self_attn.o_proj"),
)
GATED_MLP = (
    ("mlp.gate", "mlp.gate_proj"),
    ("mlp.up", "mlp.up_proj"),
    ("mlp.down", "mlp.down_proj"),
)
_BLOCK = (
    ("norm1", "input_layernorm"),
    *ATTENTION,
    ("norm2", "post_attention_layernorm"),
    *GATED_MLP,
)
# Slopes of xIELU, which are no weights of layers.
XIELU = ("mlp.alpha_p", "mlp.alpha_n")
# Layers of theirs that are several of ours, one after the other.
_Stacked = dict[str, tuple[str, ...]]
_HEAD_NORMS = {"attention.query_norm", "attention.key_norm"}


@dataclass(frozen=True)
class Family:
    """A family as Hugging Face has it.

    Attributes:
      family: Our name.
      MODEL_TYPE: Theirs.
      GGUF: That of llama.cpp.
      architecture: The class of transformers.
      say: Returns its own keys of `config.json` for a model.
      read: Reads them: values of the section `model`.
      kv_heads: Where `config.json` does not say; None for as many as heads.
      theta: Base of the rotary frequencies where `config.json` has none.
      tied: Whether the head is the embedding where it does not say.
      STACKED: Layers of theirs, by a name of ours, that are several of ours.
      stacked_names: Their names of these.
      partial: Whether `config.json` may say that a part of heads is rotated.
      block: Names inside a block, ours and theirs.
      activation: The key of the MLP's, and what it may say.
      head_dim: Where `config.json` does not say; None for an equal share.
      constants: Numbers that a block's tensors say and that are always these.
      gguf_says: Choices that its GGUF can say, where most cannot.
      take_for_gguf: Takes tensors that are no tensors there, and adds the keys
        of such a family.
      rotary: Whether rotary positions are said and read as most do it.
    """

    family: str
    MODEL_TYPE: str
    GGUF: str
    architecture: str
    say: Callable[[ModelSection], dict[str, Any]]
    read: Callable[[Described], dict[str, Any]]
    kv_heads: int | None = None
    theta: float = 10000.0
    tied: bool = False
    STACKED: _Stacked = field(default_factory=dict)
    stacked_names: dict[str, str] = field(default_factory=dict)
    partial: bool = False
    block: _Names = _BLOCK
    activation: tuple[str, ...] = ("hidden_act", "silu", "swish")
    head_dim: int | None = None
    rotary: bool = True
    constants: dict[str, float] = field(default_factory=dict)
    gguf_says: tuple[str, ...] = ()
    take_for_gguf: (
        Callable[[Any, dict[str, Any], ModelSection], None] | None
    ) = None

    # Rotary frequencies, which old files hold as tensors.
    WITHOUT_EFFECT = re.compile(
        r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq"
    )

    LAYER = "model.layers"
    TABLES: ClassVar = {"embedding": "model.embed_tokens", "head": "lm_head"}
    FAN_IN_FAN_OUT = False

    @property
    def ADAPTED(self) -> dict[str, str]:  # noqa: N802
        """Layers that may be adapted: our name to theirs."""
        found = {}
        for own, place in self._layers():
            if place.endswith("_proj"):
                found[self._stack_of(own) or own] = place
        return found

    def _stack_of(self, own: str) -> str | None:
        for stack, parts in self.STACKED.items():
            if own in parts:
                return stack
        return None

    def _layers(self) -> Iterator[tuple[str, str]]:
        """Yields each of ours in a block and which of theirs it is in."""
        for own, name in self.block:
            stack = self._stack_of(own)
            yield own, self.stacked_names[stack] if stack else name

    def config(self, model: ModelSection) -> dict[str, Any]:
        """Returns what `config.json` says of the model."""
        return {
            "architectures": [self.architecture],
            "model_type": self.MODEL_TYPE,
            "vocab_size": model.vocab,
            "max_position_embeddings": model.context,
            "hidden_size": model.hidden,
            "intermediate_size": model.ffn_hidden,
            "num_hidden_layers": model.layers,
            "num_attention_heads": model.heads,
            "num_key_value_heads": model.kv_heads,
            "head_dim": model.head_dim,
            self.activation[0]: self.activation[1],
            "attention_dropout": 0.0,
            "rms_norm_eps": model.norm_eps,
            **(
                rotary_config(model, partial=self.partial)
                if self.rotary
                else {}
            ),
            "initializer_range": 0.02,
            "tie_word_embeddings": model.tie_embeddings,
            **self.say(model),
        }

    def sizes(self, described: Described) -> dict[str, Any]:
        """Reads `config.json`: the values of the section `model`."""
        hidden = described.get("hidden_size")
        heads = described.get("num_attention_heads")
        described.only(*self.activation)
        # Products in parts are the same products.
        described.without_effect("attention_dropout pretraining_tp")
        found = {
            "family": self.family,
            "layers": described.get("num_hidden_layers"),
            "hidden": hidden,
            "heads": heads,
            "kv_heads": described.get(
                "num_key_value_heads", self.kv_heads or heads
            ),
            "ffn_hidden": described.get("intermediate_size"),
            "context": described.get("max_position_embeddings"),
            "vocab": described.get("vocab_size"),
            "tie_embeddings": described.get("tie_word_embeddings", self.tied),
            "norm_eps": described.get("rms_norm_eps", 1e-6),
        }
        if self.rotary:
            found |= read_rotary(
                described, default_theta=self.theta, partial=self.partial
            )
        if hidden and heads:
            found["head_dim"] = described.get(
                "head_dim", self.head_dim or hidden // heads
            )
        return {**found, **self.read(described)}

    def _places(self, model: ModelSection) -> Iterator[tuple[str, Stored]]:
        """Yields our name of each tensor and where theirs has it."""
        yield "embedding.token.weight", Stored("model.embed_tokens.weight")
        yield "final_norm.weight", Stored("model.norm.weight")
        if not model.tie_embeddings:
            yield "head.weight", Stored("lm_head.weight")
        biases = {
            **dict.fromkeys(("query", "key", "value"), model.qkv_bias),
            "output": model.output_bias,
            **dict.fromkeys(("gate", "up", "down"), model.mlp_bias),
        }
        for i in range(model.layers):
            first = dict.fromkeys(self.STACKED, 0)
            for own, name in self._layers():
                if own in _HEAD_NORMS and model.qk_norm == "none":
                    continue
                parts = [".weight"]
                if own in XIELU:
                    parts = [""]
                if biases.get(own.rpartition(".")[2]):
                    parts.append(".bias")
                row, rows = 0, None
                if stack := self._stack_of(own):
                    row, rows = first[stack], rows_of(own, model)
                    first[stack] += rows
                for part in parts:
                    yield (
                        f"blocks.{i}.{own}{part}",
                        Stored(f"model.layers.{i}.{name}{part}", row, rows),
                    )

    def to_theirs(self, ours: Parameters, model: ModelSection) -> Parameters:
        """Renames logical parameters; stacks those that theirs has as one."""
        theirs: dict[str, list[NDArray[Any]]] = {}
        for own, place in self._places(model):
            theirs.setdefault(place.name, []).append(ours[own])
        constants = {
            f"model.layers.{i}.{name}": np.array(value, np.float32)
            for i in range(model.layers)
            for name, value in self.constants.items()
        }
        return constants | {
            name: parts[0] if len(parts) == 1 else np.concatenate(parts)
            for name, parts in theirs.items()
        }

    def stored(
        self, model: ModelSection, names: Container[str]
    ) -> Iterator[tuple[str, Stored]]:
        """Yields each logical name and where a folder of `names` has it."""
        del names
        yield from self._places(model)

    def describe_gguf(self, writer: Any, model: ModelSection) -> None:
        """Adds the family's own keys and tensors to a `gguf.GGUFWriter`.

        Raises:
          ValueError: llama.cpp computes it otherwise.
        """
        writer.add_head_count_kv(model.kv_heads)
        writer.add_key_length(model.head_dim)
        writer.add_value_length(model.head_dim)
        writer.add_layer_norm_rms_eps(model.norm_eps)
        writer.add_rope_freq_base(model.rope_theta)
        writer.add_rope_dimension_count(
            int(model.head_dim * model.rope_fraction)
        )
        add_rope_scaling(writer, model)
        every = 4 if self.GGUF == "smollm3" else 0
        if model.no_rope_every != every:
            raise ValueError(
                f"model.no_rope_every={model.no_rope_every}: llama.cpp takes "
                f"{every} for {self.GGUF}"
            )

    def for_gguf(
        self, name: str, value: NDArray[Any], model: ModelSection
    ) -> NDArray[Any]:
        """Returns one of `to_theirs`, as GGUF keeps it.

        Weights of norms are there what is multiplied by, with the 1.
        Of Llama the two numbers that rotate together are neighbours there in
        a head of query and key; here they are half a head apart.
        """
        if model.norm_plus_one and name.endswith("norm.weight"):
            return np.asarray(value, np.float32) + np.float32(1)
        heads = {"q_proj": model.heads, "k_proj": model.kv_heads}
        found = next((n for n in heads if f".{n}." in name), None)
        if found is None or self.GGUF not in _NEIGHBOURS:
            return value
        halves = value.reshape(heads[found], 2, -1, *value.shape[1:])
        return halves.swapaxes(1, 2).reshape(value.shape)


# Whose heads llama.cpp rotates by neighbours.
_NEIGHBOURS = {"llama", "smollm3"}
