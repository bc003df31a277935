#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace eisbach::data {

// One data-parallel rank's share of a training step. Rows follow the global
// sample indices; micro-batch m is rows [m x size, (m + 1) x size).
struct Batch {
  int64_t step;
  Tensor tokens;   // i32 [samples, context], the model's input
  Tensor targets;  // i32 [samples, context], the token after each
  Tensor samples;  // i64 [samples], global sample indices
};

}  // namespace eisbach::data
