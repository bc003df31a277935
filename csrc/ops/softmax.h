#pragma once

#include "absl/status/statusor.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// y = softmax over the last dimension, in f32 with the row's maximum
// subtracted. A row that holds NaN becomes NaN.
struct SoftmaxForwardArgs {
  const Tensor& x;
  const Tensor& y;
};
using SoftmaxForwardKernel = KernelSlot<SoftmaxForwardArgs>;
SoftmaxForwardKernel& SoftmaxForwardSlot();
absl::StatusOr<Tensor> SoftmaxForward(const Tensor& x, Stream& stream);

// dx = y * (dy - sum(dy * y)), from the output y.
struct SoftmaxBackwardArgs {
  const Tensor& dy;
  const Tensor& y;
  const Tensor& dx;
};
using SoftmaxBackwardKernel = KernelSlot<SoftmaxBackwardArgs>;
SoftmaxBackwardKernel& SoftmaxBackwardSlot();
absl::StatusOr<Tensor> SoftmaxBackward(const Tensor& dy, const Tensor& y,
                                       Stream& stream);

}  // namespace eisbach::ops
