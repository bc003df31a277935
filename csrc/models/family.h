#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nn/mlp.h"
#include "ops/norm.h"

namespace eisbach::models {

// What tells one family of decoder-only transformers from another.
struct Family {
  std::string name;
  ops::NormKind norm;
  nn::Activation activation;
  bool bias;  // in the linear layers
  bool rope;  // rotary positions; else learned ones
};

// NotFound for an unknown name; the message lists what there is.
absl::StatusOr<Family> FindFamily(absl::string_view name);

// Called once by each family's file from a static initialiser.
bool RegisterFamily(Family family);

}  // namespace eisbach::models
