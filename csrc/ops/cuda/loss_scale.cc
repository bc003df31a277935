#include "ops/loss_scale.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/loss_scale_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status Update(const UpdateLossScaleArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchUpdateLossScale(
      args.norm_squared.data<double>(), args.losses.data<double>(),
      args.losses.elements(), args.used.data<double>(),
      {.least = kLeastLossScale,
       .most = kMostLossScale,
       .window = static_cast<float>(args.window)},
      static_cast<cuda::StepState*>(args.step_state.raw()),
      cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(UpdateLossScaleSlot, DeviceType::kCuda, &Update);

}  // namespace
}  // namespace eisbach::ops
