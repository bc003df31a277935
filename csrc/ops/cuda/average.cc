#include "ops/average.h"

#include "ops/cuda/average_kernels.h"
#include "ops/cuda/bridge.h"

namespace eisbach::ops {
namespace {

absl::Status Average(const AverageArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchAverage(
      args.master.data<float>(), args.average.data<float>(),
      static_cast<const cuda::StepState*>(args.step_state.raw()),
      MakeDecay(args.decay), args.master.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(AverageSlot, DeviceType::kCuda, &Average);

}  // namespace
}  // namespace eisbach::ops
