import json
import math

import numpy as np
import pytest

from eisbach import _C

NAME = "blocks.1.mlp.up.weight"


@pytest.fixture
def saved(make, tmp_path):
    engine = make.engine()
    path = engine.save(tmp_path / "a", config={"seed": 1}, state={"at": 12})
    return engine, path


def test_a_manifest_is_read_and_checked(saved):
    _, path = saved
    told = json.loads(_C.read_manifest(path))
    assert (told["step"], told["config"], told["state"]) == (
        0,
        {"seed": 1},
        {"at": 12},
    )
    assert len(told["xxh64"]) == 16
    with pytest.raises(FileNotFoundError, match=r"none/manifest\.json"):
        _C.read_manifest(f"{path}/none")


def test_tensors_are_the_logical_ones(saved):
    engine, path = saved
    found = {one.key: one for one in _C.saved_tensors(path)}
    whole = engine.gather()
    assert len(found) == 3 * len(whole)
    for name, value in whole.items():
        one = found[name]
        assert (one.name, one.part, one.dtype, one.fault) == (
            name,
            "",
            "f32",
            "",
        )
        assert one.shape == value.shape
        assert len(one.boxes) == 1
        assert found[f"optimizer.v/{name}"].part == "v"
    assert found[NAME].boxes == ["[0, 96) x [0, 48)"]


def test_differences_are_those_of_numpy(saved, tmp_path):
    engine, path = saved
    before = engine.gather()
    change = np.zeros_like(before[NAME])
    change[3, 5], change[7, 1] = 0.25, -0.5
    engine.scatter({**before, NAME: before[NAME] + change})
    other = engine.save(tmp_path / "b", config={"seed": 2}, state={"at": 12})
    ours, theirs = (
        {one.key: one for one in _C.saved_tensors(p)} for p in (path, other)
    )
    for key, one in ours.items():
        found = _C.tensor_difference(one, theirs[key])
        if key != NAME:
            assert found.elements == found.absolute == found.relative == 0
            continue
        a, b = before[NAME], engine.gather()[NAME]
        expected = np.abs(a.astype("f8") - b)
        assert found.elements == np.count_nonzero(expected) == 2
        assert found.absolute == expected.max()
        scale = np.maximum(np.abs(a), np.abs(b))
        assert found.relative == pytest.approx((expected / scale).max())
    with pytest.raises(ValueError, match=rf'"{NAME}" is .* "optim'):
        _C.tensor_difference(
            ours[NAME], ours["optimizer.m/blocks.0.norm1.weight"]
        )


def test_tensors_keep_their_files(saved):
    _, path = saved
    one = _C.saved_tensors(path)[0]
    assert _C.tensor_difference(one, one).elements == 0


def test_a_verification_tells_how_far_it_is(saved):
    _, path = saved
    seen = []
    found = _C.verify_checkpoint(path, lambda *told: seen.append(told))
    assert seen == [(found.bytes, found.bytes)]
    assert (found.files, found.faults) == (1, [])
    assert found.tensors == len(_C.saved_tensors(path))

    def give_up(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _C.verify_checkpoint(path, give_up)
    with pytest.raises(TypeError, match="progress=3; it takes a function"):
        _C.verify_checkpoint(path, 3)
    gone = _C.verify_checkpoint(f"{path}/none", lambda *told: None)
    assert "none/manifest.json" in gone.faults[0]


def test_changes_of_configurations():
    found = _C.config_changes(
        {"a": {"b": 1, "c": [1, 2]}, "d": None}, {"a": {"b": 1, "c": [1]}}
    )
    assert found == [("a.c[1]", "2", None), ("d", "null", None)]
    assert _C.config_changes({}, {"x": math.pi}) == [("x", None, f"{math.pi}")]
