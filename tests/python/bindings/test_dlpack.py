import gc

import numpy as np
import pytest
import torch

from eisbach import _C

DTYPES = {
    "f32": torch.float32,
    "f64": torch.float64,
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "i32": torch.int32,
    "i64": torch.int64,
    "u8": torch.uint8,
}


@pytest.fixture
def device():
    return _C.Device()


@pytest.mark.parametrize("dtype", DTYPES)
def test_pytorch_sees_the_same_memory(device, dtype):
    ours = _C.Tensor.zeros((2, 3), dtype, device)
    theirs = torch.from_dlpack(ours)
    assert theirs.dtype == DTYPES[dtype]
    theirs[1, 2] = 5
    assert ours.numpy()[1, 2] == 5
    again = _C.Tensor.from_dlpack(theirs, device)
    assert again.dtype == dtype
    again.numpy()[0, 1] = 7
    assert theirs[0, 1] == 7


def test_strides_are_kept(device):
    theirs = torch.arange(12.0).reshape(3, 4).T
    ours = _C.Tensor.from_dlpack(theirs, device)
    assert (ours.shape, ours.strides) == ((4, 3), (1, 4))
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    np.testing.assert_array_equal(torch.from_dlpack(ours), theirs)


def test_numpy_reads_it(device):
    ours = _C.Tensor.zeros((4,), "i32", device)
    view = np.from_dlpack(ours)
    view[2] = 9
    assert ours.numpy()[2] == 9
    assert ours.__dlpack_device__() == (1, 0)


def test_memory_outlives_its_other_owners(device):
    ours = _C.Tensor.from_dlpack(torch.full((1000,), 3.0), device)
    theirs = torch.from_dlpack(ours)
    del ours
    gc.collect()
    assert theirs.sum() == 3000
    before = device.memory().bytes_in_use
    capsule = _C.Tensor.zeros((1000,), "f32", device).__dlpack__()
    assert device.memory().bytes_in_use > before
    del capsule
    assert device.memory().bytes_in_use == before


def test_what_cannot_be_shared(device):
    ours = _C.Tensor.zeros((4,), "f32", device)
    with pytest.raises(BufferError, match="copied"):
        ours.__dlpack__(copy=True)
    with pytest.raises(BufferError, match="no memory"):
        _C.Tensor.zeros((4,), "f32", _C.Device("meta")).__dlpack__()
    array = np.zeros(3)
    array.flags.writeable = False
    with pytest.raises(BufferError, match="read-only"):
        _C.Tensor.from_dlpack(array, device)
    with pytest.raises(TypeError, match="element type"):
        _C.Tensor.from_dlpack(torch.zeros(3, dtype=torch.complex64), device)
