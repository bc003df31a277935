#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "optim/optimizer.h"
#include "tensor/flat_buffer.h"

namespace eisbach::checkpoint {

// One of the tensors that a rank keeps of a parameter: its master value or a
// part of the optimizer's state. All are laid out as the parameter is, of which
// they hold what is the rank's own, and f32 but for the value of one that is
// frozen, which is f32 in files alone.
struct StoredTensor {
  std::string part;       // "" for the value, "m", "v", ... for optimizer state
  const ParamSpec* spec;  // of the parameter
  Tensor local;           // flat, of `own`
  ElementRange own;       // of the parameter's elements
  bool divided;           // other ranks have the rest of the parameter
};

// By bucket, then parameter, then part; then those that are frozen, but for the
// base of adapters: whoever has that loads it before.
absl::StatusOr<std::vector<StoredTensor>> StoredTensors(
    const FlatBuffer& buffer, const optim::Optimizer& optimizer);

}  // namespace eisbach::checkpoint
