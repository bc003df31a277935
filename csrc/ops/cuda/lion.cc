#include "ops/lion.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/lion_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status Lion(const LionArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchLion(
      cuda::ToType(args.data.dtype()), args.master.data<float>(),
      args.grad.data<float>(), args.m.data<float>(),
      args.data.raw() == args.master.raw() ? nullptr : args.data.raw(),
      static_cast<const cuda::StepState*>(args.step_state.raw()),
      {.beta1 = MakeDecay(args.beta1),
       .beta2 = MakeDecay(args.beta2),
       .weight_decay = args.weight_decay,
       .rate_factor = args.rate_factor},
      args.master.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(LionSlot, DeviceType::kCuda, &Lion);

}  // namespace
}  // namespace eisbach::ops
