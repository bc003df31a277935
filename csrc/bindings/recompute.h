#pragma once

#include <string>

#include "bindings/casters.h"
#include "nn/module.h"

namespace pybind11::detail {

// "none", "selective" or "block"
template <>
struct type_caster<eisbach::nn::Recompute> {
  PYBIND11_TYPE_CASTER(eisbach::nn::Recompute, const_name("str"));

  static constexpr const char* kNames[] = {"none", "selective", "block"};

  bool load(handle source, bool) {
    if (!isinstance<str>(source)) return false;
    const auto name = source.cast<std::string>();
    for (int i = 0; i < 3; ++i) {
      if (name != kNames[i]) continue;
      value = static_cast<eisbach::nn::Recompute>(i);
      return true;
    }
    throw value_error("recompute=" + name +
                      " is none of none, selective, block (train.recompute)");
  }
  static handle cast(eisbach::nn::Recompute recompute, return_value_policy,
                     handle) {
    return str(kNames[static_cast<int>(recompute)]).release();
  }
};

}  // namespace pybind11::detail
