#pragma once

#include <pybind11/numpy.h>

#include <optional>
#include <string>
#include <utility>

#include "bindings/argument.h"
#include "tensor/tensor.h"

namespace eisbach::bindings {

// What NumPy makes an array of integers of: an array, a list of ints or of
// such lists, a tensor.
struct Integers {
  pybind11::array array;
};

template <>
struct Words<pybind11::array> {
  static std::string One() { return "a NumPy array"; }
  static std::string Many() { return "NumPy arrays"; }
};
template <>
struct Words<Integers> {
  static std::string One() { return "an array or list of integers"; }
  static std::string Many() { return "arrays of integers"; }
};

// The integers as i32, C-contiguous. ValueError for the first that does not
// fit 32 bits.
pybind11::array_t<int32_t> AsTokens(const Integers& integers);

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

namespace pybind11::detail {

template <>
struct type_caster<eisbach::bindings::Integers> {
  PYBIND11_TYPE_CASTER(eisbach::bindings::Integers,
                       const_name("numpy.typing.ArrayLike"));

  bool load(handle source, bool) {
    object array = reinterpret_borrow<object>(source);
    if (!isinstance<pybind11::array>(source)) {
      if (!hasattr(source, "__array__") && !isinstance<list>(source) &&
          !isinstance<tuple>(source)) {
        return false;
      }
      try {
        array = module_::import("numpy").attr("asarray")(source);
      } catch (error_already_set&) {  // lists of several lengths
        return false;
      }
    }
    value.array = array.cast<pybind11::array>();
    const char kind = value.array.dtype().kind();
    return value.array.size() == 0 || kind == 'i' || kind == 'u';
  }
};

}  // namespace pybind11::detail
