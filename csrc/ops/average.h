#pragma once

#include "absl/status/status.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// average = decay * average + (1 - decay) * master, both f32 [n]: one step of
// an exponential moving average of weights (Polyak and Juditsky 1992, in the
// form of Tarvainen and Valpola, arXiv:1703.01780). Nothing changes where
// kFinite of the step state is 0 (ops/optimizer.h).
struct AverageArgs {
  const Tensor& master;
  const Tensor& average;
  const Tensor& step_state;
  double decay;  // in [0, 1); 1 - decay is taken in double (ops/decay.h)
};
using AverageKernel = KernelSlot<AverageArgs>;
AverageKernel& AverageSlot();
absl::Status Average(const AverageArgs& args, Stream& stream);

}  // namespace eisbach::ops
