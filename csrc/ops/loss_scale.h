#pragma once

#include "absl/status/status.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

inline constexpr float kLeastLossScale = 1;
inline constexpr float kMostLossScale = 16777216;  // 2^24
inline constexpr int kMostLossScaleWindow = 1 << 24;

// The loss scale after a step, on the device, so that a step that was given to
// it earlier sees it (Micikevicius et al., arXiv:1710.03740, section 3.2, with
// a scale that follows the gradients). Comes last in a step, after ClipFactor
// and the optimizer; all ranks give it the same numbers.
//
//   used = kLossScale                     f64 [1], what the step had
//   norm_squared /= kLossScale^2          f64 [1], the true one from here on
//   kFinite, kVoid, kLossScale, kGoodSteps for the next step:
//     the norm is finite: after `window` such steps the scale doubles, up to
//       kMostLossScale;
//     it is not: the step was skipped. The scale halves, down to
//       kLeastLossScale, and kFinite is 1 again;
//     it is not and the scale is kLeastLossScale, or one of `losses` (f64 [n])
//       is not finite: no scale helps. kFinite is 0 and kVoid 1: nothing
//       changes any more until the host has set both.
struct UpdateLossScaleArgs {
  const Tensor& norm_squared;
  const Tensor& losses;
  const Tensor& used;
  int window;  // in [1, kMostLossScaleWindow]
  const Tensor& step_state;
};
using UpdateLossScaleKernel = KernelSlot<UpdateLossScaleArgs>;
UpdateLossScaleKernel& UpdateLossScaleSlot();
absl::Status UpdateLossScale(const UpdateLossScaleArgs& args, Stream& stream);

}  // namespace eisbach::ops
