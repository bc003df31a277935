#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/gather.h"

namespace eisbach::checkpoint {

struct SavedWeights {
  int64_t step;        // steps done
  std::string config;  // as given to Save
  // Without the optimizer's state; a stage after another.
  std::vector<LogicalTensor> tensors;
};

// The weights in the checkpoint folder `path`, whole, whatever layout they were
// saved on; for one process, with no ranks. Blocks.
//
// Manifest, size and hash of every file are checked, and that each tensor is
// there whole and once. Errors name the file or the tensor.
//
// With `average` that of the weights, where one was kept (train.ema);
// InvalidArgument where none was. What was not trained is as it is.
absl::StatusOr<SavedWeights> ReadWeights(const std::string& path,
                                         bool average = false);

}  // namespace eisbach::checkpoint
