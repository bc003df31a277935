#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "ops/dropout_bits.h"  // IWYU pragma: export
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// Where a dropout mask comes from: of element (sample b, position t, local
// feature f) it depends on the seed, the layer, the step, sample_index[b], t
// and the feature first_feature + f of the whole model, so no layout changes
// it.
struct DropoutSource {
  uint64_t seed = 0;
  uint64_t layer = 0;   // StableHash of the layer's name
  Tensor step;          // i64 [1], in device memory
  Tensor sample_index;  // i64 [B], index in the whole run's sample order
  int64_t first_feature = 0;
  // Where x has some rows of a [B, T, F] alone, in [1, rows, F]: T, and which
  // of the B * T is its first.
  int64_t positions = 0;  // 0: x has all
  int64_t first_row = 0;
};

// y = x * mask / (1 - p) with x [B, T, F]; y may be x. Each element is kept
// with probability 1 - p, a multiple of 2^-24 (ops/dropout_bits.h), 0 <= p <=
// kMostDropout. The same call on dy is the gradient.
struct DropoutArgs {
  const Tensor& x;
  double p;
  const DropoutSource& source;
  const Tensor& y;
};
using DropoutKernel = KernelSlot<DropoutArgs>;
DropoutKernel& DropoutSlot();
absl::StatusOr<Tensor> Dropout(const Tensor& x, double p,
                               const DropoutSource& source, Stream& stream);

}  // namespace eisbach::ops
