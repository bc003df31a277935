#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bindings/unwrap.h"
#include "core/dtype.h"
#include "core/shape.h"

// How types of the core that are plain values look in Python. A bound function
// may return Status or StatusOr: Python sees the value or an exception.
namespace pybind11::detail {

template <>
struct type_caster<absl::Status> {
  static constexpr auto name = const_name("None");
  static handle cast(absl::Status status, return_value_policy, handle) {
    eisbach::bindings::Unwrap(std::move(status));
    return none().release();
  }
};

template <typename T>
struct type_caster<absl::StatusOr<T>> {
  static constexpr auto name = make_caster<T>::name;
  static handle cast(absl::StatusOr<T>&& value, return_value_policy policy,
                     handle parent) {
    return make_caster<T>::cast(eisbach::bindings::Unwrap(std::move(value)),
                                return_value_policy_override<T>::policy(policy),
                                parent);
  }
};

// "f32", "bf16", ...
template <>
struct type_caster<eisbach::DType> {
  PYBIND11_TYPE_CASTER(eisbach::DType, const_name("str"));

  bool load(handle source, bool) {
    if (!isinstance<str>(source)) return false;
    value = eisbach::bindings::Unwrap(
        eisbach::ParseDType(source.cast<std::string>()));
    return true;
  }
  static handle cast(eisbach::DType dtype, return_value_policy, handle) {
    return str(std::string(eisbach::Name(dtype))).release();
  }
};

template <>
struct type_caster<eisbach::Shape> {
  PYBIND11_TYPE_CASTER(eisbach::Shape, const_name("tuple[int, ...]"));

  bool load(handle source, bool convert) {
    make_caster<std::vector<int64_t>> dims;
    if (!dims.load(source, convert)) return false;
    for (int64_t dim : cast_op<std::vector<int64_t>&>(dims)) {
      if (dim < 0) {
        throw value_error("a shape has no negative size, not " +
                          std::to_string(dim));
      }
    }
    value = eisbach::Shape(cast_op<std::vector<int64_t>&>(dims));
    return true;
  }
  static handle cast(const eisbach::Shape& shape, return_value_policy, handle) {
    tuple dims(shape.rank());
    for (int i = 0; i < shape.rank(); ++i) dims[i] = int_(shape[i]);
    return dims.release();
  }
};

}  // namespace pybind11::detail
