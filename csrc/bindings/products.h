#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "plan/op_seconds.h"

namespace eisbach::bindings {

inline absl::StatusOr<plan::ProductType> ProductsFromName(
    const std::string& name) {
  if (name == "as_is") return plan::ProductType::kAsIs;
  if (name == "f8") return plan::ProductType::kF8;
  if (name == "f4") return plan::ProductType::kF4;
  return absl::InvalidArgumentError(
      absl::StrCat("products=", name, " is none of as_is, f8, f4"));
}

}  // namespace eisbach::bindings
