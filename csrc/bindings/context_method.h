#pragma once

#include <string>

#include "bindings/casters.h"
#include "parallel/context/method.h"

namespace pybind11::detail {

// "auto", "ring", ...
template <>
struct type_caster<eisbach::parallel::ContextMethod> {
  PYBIND11_TYPE_CASTER(eisbach::parallel::ContextMethod, const_name("str"));

  bool load(handle source, bool) {
    if (!isinstance<str>(source)) return false;
    value = eisbach::bindings::Unwrap(
        eisbach::parallel::ParseContextMethod(source.cast<std::string>()));
    return true;
  }
  static handle cast(eisbach::parallel::ContextMethod method,
                     return_value_policy, handle) {
    return str(std::string(eisbach::parallel::Name(method))).release();
  }
};

}  // namespace pybind11::detail
