#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "bindings/argument.h"

namespace eisbach::bindings {

// A JSON object: from Python a dict, or its text.
struct JsonText {
  std::string text;
};

template <>
struct Words<JsonText> {
  static std::string One() {
    return "a dict of what JSON can hold, or a str of JSON";
  }
  static std::string Many() { return "dicts of what JSON can hold"; }
};

}  // namespace eisbach::bindings

namespace pybind11::detail {

template <>
struct type_caster<eisbach::bindings::JsonText> {
  PYBIND11_TYPE_CASTER(eisbach::bindings::JsonText, const_name("dict | str"));

  bool load(handle source, bool) {
    if (isinstance<str>(source)) {
      value.text = source.cast<std::string>();
      return true;
    }
    if (!isinstance<dict>(source)) return false;
    try {
      value.text = module_::import("json")
                       .attr("dumps")(source, arg("allow_nan") = false)
                       .cast<std::string>();
      return true;
    } catch (error_already_set&) {
      return false;
    }
  }
  static handle cast(const eisbach::bindings::JsonText& json,
                     return_value_policy, handle) {
    return str(json.text).release();
  }
};

}  // namespace pybind11::detail
