#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "nn/module.h"

namespace eisbach::bindings {

inline constexpr const char* kRecomputeNames[] = {"none", "selective", "block"};

inline const char* RecomputeName(nn::Recompute recompute) {
  return kRecomputeNames[static_cast<int>(recompute)];
}

inline absl::StatusOr<nn::Recompute> RecomputeFromName(
    const std::string& name) {
  for (int i = 0; i < 3; ++i) {
    if (name == kRecomputeNames[i]) return static_cast<nn::Recompute>(i);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("recompute=", name,
                   " is none of none, selective, block (train.recompute)"));
}

}  // namespace eisbach::bindings
