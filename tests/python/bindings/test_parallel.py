import pytest

from eisbach import _C


def test_a_mesh_fills_in_what_is_left():
    mesh = _C.Mesh(12, tensor=2, pipeline=3)
    assert mesh.world_size == 12
    assert [mesh.size(a) for a in ("data", "tensor", "pipeline")] == [2, 2, 3]
    assert str(mesh) == "pipeline=3 x data=2 x context=1 x tensor=2"
    assert [mesh.coordinate(5, a) for a in ("pipeline", "data", "tensor")] == [
        1,
        0,
        1,
    ]
    assert "stage 2" in mesh.rank_map()


def test_what_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match=r"parallel\.tensor"):
        _C.Mesh(8, tensor=3)
    with pytest.raises(ValueError, match="axis=height"):
        _C.Mesh(8).size("height")
    with pytest.raises(IndexError):
        _C.Mesh(8).coordinate(8, "data")


def test_a_context_knows_this_rank(context):
    assert context.size("data") == 1
    assert context.index("pipeline") == 0
    assert context.tensor.size == context.data.size == 1
    assert context.mesh.world_size == 1
