#pragma once

#include "absl/status/status.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// One Lion step over a flat range (Chen et al., arXiv:2302.06675, algorithm 2):
//   g = factor * grad;  c = b1 m + (1 - b1) g;  m = b2 m + (1 - b2) g
//   lr = rate_factor * that of the step
//   master -= lr * (sign(c) + weight_decay * master), with sign(0) = 0
//   data = master, rounded to the compute dtype (skipped where data is master)
// All one-dimensional, contiguous and of one length; f32 but for data. Nothing
// changes where kFinite is 0 (ops/optimizer.h).
struct LionArgs {
  const Tensor& master;
  const Tensor& grad;
  const Tensor& m;
  const Tensor& data;
  const Tensor& step_state;
  double beta1;  // in [0, 1); 1 - beta is taken in double (ops/decay.h)
  double beta2;
  float weight_decay;
  float rate_factor = 1;
};
using LionKernel = KernelSlot<LionArgs>;
LionKernel& LionSlot();
absl::Status Lion(const LionArgs& args, Stream& stream);

}  // namespace eisbach::ops
