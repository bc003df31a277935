"""Weights in one file or several."""

import json

import numpy as np
import pytest

from eisbach.export.tensors import Tensors
from eisbach.export.weights import write_weights

WEIGHTS = {
    name: np.full(count, count, np.float32)
    for name, count in {"a": 10, "b": 20, "c": 70, "d": 5, "e": 5}.items()
}


def read(folder):
    tensors = Tensors(folder)
    return {name: tensors[name] for name in tensors.types}, tensors.files


@pytest.mark.parametrize(
    ("most", "dtype", "counts"),
    [
        (440, "f32", [5]),
        (439, "f32", [4, 1]),
        (120, "f32", [2, 1, 2]),
        (4, "f32", [1, 1, 1, 1, 1]),
        (220, "bf16", [5]),
        (219, "bf16", [4, 1]),
    ],
)
def test_no_file_is_too_large(tmp_path, most, dtype, counts):
    texts = write_weights(tmp_path, WEIGHTS, dtype, most)
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    found, files = read(tmp_path)
    assert found.keys() == WEIGHTS.keys()
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(found[name].astype(np.float32), value)
    assert len(files) == len(counts)
    if len(counts) == 1:
        assert not texts
        return
    index = json.loads(texts["model.safetensors.index.json"])
    assert index["metadata"]["total_size"] == 440 // (1 + (dtype == "bf16"))
    names = list(index["weight_map"].values())
    assert [names.count(name) for name in dict.fromkeys(names)] == counts
    assert names[0] == f"model-00001-of-0000{len(counts)}.safetensors"


def test_what_was_there_before_goes(tmp_path):
    write_weights(tmp_path, WEIGHTS, "f32", 100)
    write_weights(tmp_path, WEIGHTS, "f32", 439)
    assert len(list(tmp_path.iterdir())) == 2
    write_weights(tmp_path, WEIGHTS, "f32", 1000)
    (only,) = tmp_path.iterdir()
    assert only.name == "model.safetensors"
