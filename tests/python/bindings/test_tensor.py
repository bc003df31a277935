import gc

import ml_dtypes
import numpy as np
import pytest

from eisbach import _C

DTYPES = {
    "f32": np.float32,
    "f64": np.float64,
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "i32": np.int32,
    "i64": np.int64,
    "u8": np.uint8,
    "u16": np.uint16,
}


@pytest.fixture
def device():
    return _C.Device()


@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_is_shared_both_ways(device, dtype):
    array = np.arange(12).reshape(3, 4).astype(DTYPES[dtype])
    tensor = _C.Tensor.from_numpy(array, device)
    assert (tensor.dtype, tensor.shape, tensor.strides) == (
        dtype,
        (3, 4),
        (4, 1),
    )
    view = tensor.numpy()
    assert view.dtype == array.dtype
    array[1, 2] = 77
    assert view[1, 2] == 77
    view[0, 0] = 5
    assert array[0, 0] == 5


def test_strides_are_kept(device):
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    tensor = _C.Tensor.from_numpy(array.T[::2], device)
    assert (tensor.shape, tensor.strides) == ((3, 4), (2, 6))
    assert not tensor.is_contiguous()
    np.testing.assert_array_equal(tensor.numpy(), array.T[::2])


def test_what_cannot_be_shared_is_copied(device):
    array = np.arange(6, dtype=np.float32)
    array.flags.writeable = False
    for source in (array, np.arange(6, dtype=np.float32)[::-1]):
        tensor = _C.Tensor.from_numpy(source, device)
        np.testing.assert_array_equal(tensor.numpy(), source)
        assert not np.shares_memory(tensor.numpy(), source)
        with pytest.raises(ValueError, match="cannot share"):
            _C.Tensor.from_numpy(source, device, copy=False)
    with pytest.raises(TypeError, match="complex64"):
        _C.Tensor.from_numpy(np.zeros(2, np.complex64), device)


def test_memory_outlives_its_other_owners():
    device = _C.Device()
    array = np.full(1000, 3, np.int32)
    tensor = _C.Tensor.from_numpy(array, device)
    del array
    view = tensor.narrow(0, 10, 5).numpy()
    del tensor, device
    gc.collect()
    np.testing.assert_array_equal(view, [3] * 5)


def test_device_memory_is_given_back(device):
    before = device.memory().bytes_in_use
    tensor = _C.Tensor.zeros((1000,), "f32", device)
    view = tensor.numpy()
    del tensor
    assert device.memory().bytes_in_use >= before + 4000
    del view
    gc.collect()
    assert device.memory().bytes_in_use == before


def test_conversion(device):
    array = np.array([1 + 2**-9, -2.5, np.nan], np.float32)
    tensor = _C.Tensor.from_numpy(array, device)
    rounded = tensor.astype("bf16").numpy()
    assert rounded.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(
        rounded.astype(np.float32),
        array.astype(ml_dtypes.bfloat16).astype(np.float32),
    )
    assert np.asarray(tensor, dtype=np.float64).dtype == np.float64
    assert np.shares_memory(np.asarray(tensor), array)
    assert not np.shares_memory(np.array(tensor), array)
    with pytest.raises(ValueError, match="f33"):
        tensor.astype("f33")


def test_views_and_their_limits(device):
    tensor = _C.Tensor.zeros((2, 3), "i64", device)
    assert len(tensor) == 2
    assert repr(tensor) == "Tensor(i64[2, 3] on cpu)"
    with pytest.raises(ValueError, match="3"):
        tensor.narrow(0, 1, 2)
    with pytest.raises(ValueError, match="negative"):
        _C.Tensor.zeros((2, -3), "f32", device)


def test_meta_has_no_memory():
    tensor = _C.Tensor.zeros((10**12,), "f32", _C.Device("meta"))
    with pytest.raises(RuntimeError, match="NumPy"):
        tensor.numpy()


def test_a_parameter_has_no_memory_at_first():
    parameter = _C.Parameter("table", (3, 4))
    assert (parameter.name, parameter.shape) == ("table", (3, 4))
    assert parameter.decay
    assert not _C.Parameter("bias", (4,), init="zeros").decay
    with pytest.raises(RuntimeError, match="before an Update"):
        _ = parameter.grad
    with pytest.raises(ValueError, match="one or two"):
        _C.Parameter("cube", (2, 2, 2))
    with pytest.raises(ValueError, match="init=ons"):
        _C.Parameter("scale", (2,), init="ons")


def test_slices_and_other_types_become_what_functions_take(world):
    array = np.arange(24, dtype=np.float32).reshape(4, 6)
    tensor = _C.Tensor.from_numpy(array, world.device)
    column = tensor.narrow(1, 2, 2)
    assert not column.is_contiguous()
    with pytest.raises(ValueError, match=r"contiguous\(\) makes a copy"):
        _C.functional.gelu(column)
    with pytest.raises(ValueError, match=r"contiguous\(\) makes a copy"):
        _C.functional.view(column, (8,))
    whole = column.contiguous()
    assert whole.is_contiguous()
    np.testing.assert_array_equal(whole, array[:, 2:4])
    assert _C.functional.gelu(whole).shape == (4, 2)
    # What is contiguous stays where it is.
    assert np.shares_memory(tensor.contiguous().numpy(), tensor.numpy())
    half = tensor.astype("bf16")
    with pytest.raises(ValueError, match=r"must be f32; astype\(\) converts"):
        _C.functional.add(tensor, half)
    mixed = _C.functional.add(tensor, half.astype("f32"))
    np.testing.assert_array_equal(mixed, 2 * array)
