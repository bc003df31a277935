"""The weights of a folder, in one file or in several with an index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eisbach.export.dtypes import cast

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Weights = dict[str, NDArray[Any]]

FILE = "model.safetensors"
INDEX = "model.safetensors.index.json"


def write_weights(
    folder: Path, weights: Weights, dtype: str, most: int
) -> dict[str, str]:
    """Writes tensors; files of weights that were there before go.

    Args:
      folder: Of the model.
      weights: By the name that they get.
      dtype: `f32`, `bf16` or `f16`.
      most: Bytes of one file, but for a larger tensor.

    Returns:
      The files that say where which tensor is: none for a single file.

    Raises:
      ValueError: A weight is too large for `dtype`.
    """
    from eisbach import _C

    size = np.dtype(np.float32 if dtype == "f32" else np.float16).itemsize
    shards = _divide({n: w.size * size for n, w in weights.items()}, most)
    names = [FILE]
    if len(shards) > 1:
        names = [
            f"model-{i + 1:05}-of-{len(shards):05}.safetensors"
            for i in range(len(shards))
        ]
    for name, shard in zip(names, shards, strict=True):
        _C.write_safetensors(
            str(folder / name),
            {it: cast(it, weights[it], dtype) for it in shard},
            {"format": "pt"},  # transformers asks for it
        )
    for path in folder.glob("model*.safetensors"):
        if path.name not in names:
            path.unlink()
    if len(shards) == 1:
        return {}
    where = {
        it: name
        for name, shard in zip(names, shards, strict=True)
        for it in shard
    }
    total = sum(value.size for value in weights.values()) * size
    index = {"metadata": {"total_size": total}, "weight_map": where}
    return {INDEX: json.dumps(index, indent=2) + "\n"}


def _divide(sizes: dict[str, int], most: int) -> list[list[str]]:
    """Cuts names, in order, into parts of at most so many bytes."""
    parts: list[list[str]] = [[]]
    held = 0
    for name, size in sizes.items():
        if parts[-1] and held + size > most:
            parts.append([])
            held = 0
        parts[-1].append(name)
        held += size
    return parts
