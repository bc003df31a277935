import numpy as np
import pytest

from eisbach import _C


def test_a_phase_is_a_context_and_gives_its_value_back():
    world = _C.init()
    with _C.phase(world, "save"):
        x = _C.Tensor.from_numpy(np.ones(3, np.float32), world.device)
    assert x.numpy().sum() == 3


@pytest.mark.parametrize("enter", [_C.phase, _C.enter_phase])
def test_a_phase_that_there_is_not_names_those_that_there_are(enter):
    message = "phase=nap is none of prepare, load, validation, save, export"
    with pytest.raises(ValueError, match=message):
        enter(_C.init(), "nap")


def test_a_rank_alone_has_nothing_to_watch():
    world = _C.init()
    with pytest.raises(RuntimeError, match="world of 1 ranks"):
        _C.watch(world, 1.0)
    with pytest.raises(ValueError, match="hang_seconds=0 must be above 0"):
        _C.watch(world, 0.0)
    assert not _C.hang_found()
    assert not _C.rank_gone()
    assert _C.HANG_STATUS == 76
