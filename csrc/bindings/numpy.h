#pragma once

#include <pybind11/numpy.h>

#include <optional>

#include "tensor/tensor.h"

namespace eisbach::bindings {

// The NumPy type of a tensor's elements; bf16 is that of ml_dtypes.
pybind11::dtype NumpyDType(DType dtype);
// TypeError where there are no tensors of that type.
DType FromNumpyDType(const pybind11::dtype& dtype);

// An array over the tensor's memory, which `owner` keeps alive; of a GPU's
// tensor a read-only copy. FailedPrecondition on meta.
pybind11::array ArrayView(const Tensor& tensor, pybind11::handle owner);

// The array as a tensor on `device`. Memory is shared where the device, the
// element type and the strides allow it: always copied when `copy` is true, and
// an error instead of a copy when it is false.
Tensor TensorFromArray(const pybind11::array& array, Device& device,
                       std::optional<bool> copy);

}  // namespace eisbach::bindings
