#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// Which columns of the vocabulary the logits hold, and how the ranks that hold
// the others take part.
struct VocabularyShard {
  int64_t first_column = 0;
  int64_t valid_columns = 0;  // the rest is padding
  // Gathers the stats [N, 3] of all ranks to [R, N, 3]; null for one rank.
  std::function<absl::StatusOr<Tensor>(const Tensor& stats)> gather;
};

// loss (f64 [1]) = scale * sum over tokens of the cross-entropy of `logits`
// [..., columns] against `targets` (i32, one a row). See ops/cross_entropy.h.
// Backward turns the logits into their gradient in place, so nobody may read
// them after it, and takes the seed gradient to be 1.
absl::StatusOr<Tensor> CrossEntropy(const Tensor& logits, const Tensor& targets,
                                    const VocabularyShard& shard, float scale,
                                    Stream& stream);

}  // namespace eisbach::autograd
