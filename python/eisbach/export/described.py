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
            return self._values[name]
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
            value = json.dumps(self._values[name])
            self.problem(f"{name}={value:.60} is unknown and may change what "
                         "the model computes")  # fmt: skip
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
