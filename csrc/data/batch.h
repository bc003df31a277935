#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "tensor/tensor.h"

namespace eisbach::data {

// One data-parallel rank's share of a training step. Rows follow the global
// sample indices; micro-batch m is rows [m x size, (m + 1) x size).
struct Batch {
  int64_t step;
  Tensor tokens;  // i32 [samples, context], the model's input
  Tensor
      targets;  // i32 [samples, context], the token after each; below 0: masked
  Tensor samples;         // i64 [samples], global sample indices
  int64_t ids_below = 0;  // IdsBelow of tokens and targets; 0: not known
  // For each token the position in its row of the first token of its document.
  Tensor
      starts;  // i32 [samples, context]; undefined: rows are one document each
  // Of rows that are pairs, what a reference thinks of them, where it was
  // measured: f64 [samples, kPairNumbers].
  Tensor reference;
};

// The least bound above all ids, and above every vocabulary where one of
// `tokens` is negative; at least 1.
int64_t IdsBelow(absl::Span<const int32_t> tokens,
                 absl::Span<const int32_t> targets);

}  // namespace eisbach::data
