#pragma once

#include <string>

#include "bindings/casters.h"
#include "plan/op_seconds.h"

namespace pybind11::detail {

// "as_is", "f8" or "f4"
template <>
struct type_caster<eisbach::plan::ProductType> {
  PYBIND11_TYPE_CASTER(eisbach::plan::ProductType, const_name("str"));

  static constexpr const char* kNames[] = {"as_is", "f8", "f4"};

  bool load(handle source, bool) {
    if (!isinstance<str>(source)) return false;
    const auto name = source.cast<std::string>();
    for (int i = 0; i < 3; ++i) {
      if (name != kNames[i]) continue;
      value = static_cast<eisbach::plan::ProductType>(i);
      return true;
    }
    throw value_error("products=" + name + " is none of as_is, f8, f4");
  }
  static handle cast(eisbach::plan::ProductType products, return_value_policy,
                     handle) {
    return str(kNames[static_cast<int>(products)]).release();
  }
};

}  // namespace pybind11::detail
