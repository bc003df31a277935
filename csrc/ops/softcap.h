#pragma once

#include "absl/status/status.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// Bounds numbers softly (Gemma 2, arXiv:2408.00118): x <- cap * tanh(x / cap),
// in place, contiguous float; cap is above 0.
struct SoftcapArgs {
  const Tensor& x;
  float cap;
};
using SoftcapKernel = KernelSlot<SoftcapArgs>;
SoftcapKernel& SoftcapSlot();
absl::Status Softcap(const Tensor& x, double cap, Stream& stream);

// dy <- dy * (1 - (y / cap)^2), in place: the gradient of x, by what Softcap
// left, y.
struct SoftcapBackwardArgs {
  const Tensor& dy;
  const Tensor& y;
  float cap;
};
using SoftcapBackwardKernel = KernelSlot<SoftcapBackwardArgs>;
SoftcapBackwardKernel& SoftcapBackwardSlot();
absl::Status SoftcapBackward(const Tensor& dy, const Tensor& y, double cap,
                             Stream& stream);

}  // namespace eisbach::ops
