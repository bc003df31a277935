import json

import numpy as np
import pytest

from eisbach import _C
from eisbach.checkpoint.comparing import TensorChange, compare, told

NAME = "blocks.1.mlp.up.weight"


def test_the_same_is_the_same(runs):
    a, b = runs(3).saved()[3], runs(3).saved()[3]
    found = compare(a, b)
    assert found.changes == found.keys == []
    assert found.equal == len(_C.saved_tensors(a))
    assert list(told(found))[-1] == (
        f"all {found.equal} tensors are equal bit for bit"
    )


def test_values_and_keys_that_differ(runs):
    a = runs(3).saved()[3]
    b = runs(4, config={"run.seed": 2}, change={NAME: 0.5}).saved()[4]
    found = compare(a, b)
    (change,) = found.changes
    assert (change.key, change.what) == (NAME, "values")
    assert change.elements == 64 * 16
    assert change.absolute == pytest.approx(0.5, abs=1e-6)
    keys = {key: (x, y) for key, x, y in found.keys}
    assert keys["step"] == ("3", "4")
    assert keys["config.run.seed"] == ("1", "2")
    assert keys["config.model.heads"] == ("2", None)
    text = list(told(found))
    assert "config.model.heads: 2 in A, absent in B" in text
    assert any(
        line.startswith(f"{NAME}  1,024 of 1,024 elements; largest difference ")
        for line in text
    )
    assert text[-1] == f"1 of {found.equal + 1} tensors differ"
    made = found.as_json()
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert made["equal"] is False
    assert made["tensors"][0]["elements"] == 1024


def test_tensors_of_another_model(runs, tmp_path):
    a = runs(3).saved()[3]
    context = _C.ParallelContext(_C.init(), _C.Mesh(1))
    from eisbach.config import make_config
    from eisbach.core_config import engine_config

    other = make_config(
        model={
            "family": "llama",
            "layers": 2,
            "hidden": 32,
            "heads": 2,
            "context": 8,
            "vocab": 256,
        },
        train={"global_batch": 1, "micro_batch": 1},
    )
    engine = _C.Engine(engine_config(other), context)
    b = engine.save(tmp_path / "other")
    changes = {one.key: one for one in compare(a, b).changes}
    assert changes["embedding.token.weight"] == TensorChange(
        "embedding.token.weight", "shape", ((256, 16), (256, 32))
    )
    assert changes["embedding.position.weight"].what == "only in A"
    assert changes["blocks.0.mlp.gate.weight"].shapes[0] is None
    text = "\n".join(told(compare(a, b)))
    assert "shape 256 x 16 in A, 256 x 32 in B" in text
    assert "only in B, " in text


def test_infinity_is_null(runs):
    change = TensorChange("w", "values", ((1,), (1,)), 1, np.inf, np.inf)
    assert change.as_json()["max_absolute"] is None
    assert change.as_json()["elements"] == 1
