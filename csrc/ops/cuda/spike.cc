#include "ops/spike.h"

#include <limits>

#include "ops/cuda/bridge.h"
#include "ops/cuda/spike_kernels.h"
#include "ops/loss_scale.h"

namespace eisbach::ops {
namespace {

absl::Status Judge(const JudgeStepArgs& args, Stream& stream) {
  const Tensor* counted = args.tokens.counted;
  EISBACH_RETURN_IF_CUDA(cuda::LaunchJudgeStep(
      {.norm_squared = args.norm_squared.data<double>(),
       .losses = args.losses.data<double>(),
       .n = args.losses.elements(),
       .counted = counted == nullptr ? nullptr : counted->data<double>(),
       .all = args.tokens.all,
       .least_loss_scale = args.loss_scaled
                               ? kLeastLossScale
                               : std::numeric_limits<float>::infinity()},
      args.rule, args.state.data<double>(), args.verdict.data<double>(),
      static_cast<cuda::StepState*>(args.step_state.raw()),
      cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status EndSkipped(const EndSkippedStepArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchEndSkippedStep(
      args.verdict.data<double>(),
      static_cast<cuda::StepState*>(args.step_state.raw()),
      cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(JudgeStepSlot, DeviceType::kCuda, &Judge);
EISBACH_REGISTER_KERNEL(EndSkippedStepSlot, DeviceType::kCuda, &EndSkipped);

}  // namespace
}  // namespace eisbach::ops
