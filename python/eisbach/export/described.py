"""A `config.json` of others, of which every key must be understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eisbach.files import read_json

# Of these no key changes what the model computes.
_HARMLESS_NAMES = (
    "model_type architectures dtype torch_dtype transformers_version "
    "name_or_path tokenizer_class prefix use_cache initializer_range "
    "return_dict output_hidden_states output_attentions torchscript "
    "use_bfloat16 gradient_checkpointing chunk_size_feed_forward "
    "attn_implementation id2label label2id num_labels problem_type "
    "finetuning_task task_specific_params max_length min_length do_sample "
    "early_stopping num_beams temperature top_k top_p typical_p "
    "repetition_penalty length_penalty no_repeat_ngram_size "
    "num_return_sequences"
)
_HARMLESS = frozenset(_HARMLESS_NAMES.split())
_REQUIRED = object()
# What keys hold that something is computed with before anybody checks sizes.
_SIZE_NAMES = (
    "vocab_size hidden_size intermediate_size num_attention_heads "
    "num_hidden_layers num_key_value_heads head_dim max_position_embeddings "
    "original_max_position_embeddings n_embd n_layer n_head n_inner "
    "n_positions sliding_window max_window_layers sliding_window_pattern "
    "no_rope_layer_interval"
)
_NUMBER_NAMES = (
    "rope_theta rope_local_base_freq partial_rotary_factor rms_norm_eps "
    "layer_norm_epsilon query_pre_attn_scalar attn_logit_softcapping "
    "final_logit_softcapping"
)
_SIZES = frozenset(_SIZE_NAMES.split())
_NUMBERS = frozenset(_NUMBER_NAMES.split())
_SWITCHES = frozenset(
    ("tie_word_embeddings", "attention_bias", "mlp_bias", "use_sliding_window")
)
_LISTS = frozenset(("layer_types", "no_rope_layers"))
_OBJECTS = frozenset(("rope_parameters", "rope_scaling"))
# Lists of as many as there are layers are made of them.
_MOST = {"num_hidden_layers": 1 << 16, "n_layer": 1 << 16}
_LEAST = {"sliding_window_pattern": 1, "no_rope_layer_interval": 1}


def shown(value: Any) -> str:
    """Spells a value of JSON, the beginning of a long one."""
    return f"{json.dumps(value):.60}"


def kind_missed(name: str, value: Any) -> str:
    """Returns in words what a key holds, where a value is none; else nothing.

    Of keys that are in no list the value may be anything.
    """
    if name in _SIZES:
        least, most = _LEAST.get(name, 0), _MOST.get(name, 2**31 - 1)
        if type(value) is not int or not least <= value <= most:
            return f"whole number from {least} to {most}"
    if name in _NUMBERS and not is_number(value):
        return "number"
    if name == "query_pre_attn_scalar" and value <= 0:
        return "number above 0"
    if name in _SWITCHES and type(value) is not bool:
        return "true or false"
    if name in _LISTS and not isinstance(value, list):
        return "list"
    if name in _OBJECTS and not isinstance(value, dict):
        return "object"
    return ""


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that arithmetic can have."""
    if type(value) not in (int, float):
        return False
    return -1e300 < value < 1e300  # so it is not NaN, either


def _is_harmless(name: str) -> bool:
    """Notes of the writer, and which ids are special, change no logits."""
    return (
        name in _HARMLESS
        or name.startswith("_")
        or (name.endswith("_token_id"))
    )


class Described:
    """Hands out the keys of a `config.json` and notes what does not fit.

    A family asks for each key that it knows. What nobody has asked for and is
    not known to be harmless may change the mathematics, so it is a problem.
    """

    def __init__(self, path: Path, values: Any = None):
        """Reads the file, or takes the values that it would have.

        Raises:
          ValueError: It is no JSON object.
          OSError: It is missing.
        """
        self.path = path
        if values is None:
            values = read_json(path)
        if not isinstance(values, dict):
            raise ValueError(f"{path}: no JSON object")
        # A key that is null counts as one that is left out.
        self._values = {k: v for k, v in values.items() if v is not None}
        self._null = {k for k, v in values.items() if v is None}
        self._asked: set[str] = set()
        self._problems: list[str] = []

    def get(self, name: str, default: Any = _REQUIRED) -> Any:
        """Returns a key's value; one without a default must be there."""
        self._asked.add(name)
        if name in self._values:
            value = self._values[name]
            wanted = kind_missed(name, value)
            if not wanted:
                return value
            self.problem(f"{name}={shown(value)} is no {wanted}")
            return None if default is _REQUIRED else default
        if default is _REQUIRED:
            self.problem(f"has no {name}")
            return None
        return default

    def is_null(self, name: str) -> bool:
        """Whether a key is there and null, where that is not its absence."""
        return name in self._null

    def only(self, name: str, *allowed: Any) -> None:
        """Refuses all values but these; the first is what absence means."""
        value = self.get(name, allowed[0])
        if value not in allowed:
            known = " or ".join(map(json.dumps, allowed))
            self.problem(
                f"{name}={json.dumps(value)} is not there yet; it may be "
                f"{known}"
            )

    def without_effect(self, names: str) -> None:
        """Names keys of the family that change nothing after training."""
        self._asked.update(names.split())

    def problem(self, text: str) -> None:
        """Notes why the model cannot be read."""
        self._problems.append(text)

    def finish(self) -> None:
        """Raises what has been noted, all at once.

        Raises:
          ValueError: The model is not one that can be computed here.
        """
        left = self._values.keys() - self._asked
        for name in sorted(n for n in left if not _is_harmless(n)):
            value = shown(self._values[name])
            self.problem(
                f"{name}={value} is unknown and may change what the model "
                "computes"
            )
        if self._problems:
            raise ValueError(f"{self.path}: " + "; ".join(self._problems))

    def ids(self, name: str) -> tuple[int, ...]:
        """Returns token ids that are given as a number or as a list."""
        value = self._values.get(name, ())
        ids = tuple(value) if isinstance(value, list | tuple) else (value,)
        if all(type(i) is int and i >= 0 for i in ids):
            return ids
        self.problem(f"{name}={json.dumps(value)} is no token id")
        return ()
