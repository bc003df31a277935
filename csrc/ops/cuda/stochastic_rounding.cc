#include "ops/stochastic_rounding.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/stochastic_rounding_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status Round(const RoundStochasticallyArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchRoundStochastically(
      args.from.data<float>(), args.to.raw(), args.from.elements(),
      {.step = args.rounding.step.data<int64_t>(),
       .key = args.rounding.key,
       .first = args.rounding.first},
      cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(RoundStochasticallySlot, DeviceType::kCuda, &Round);

}  // namespace
}  // namespace eisbach::ops
