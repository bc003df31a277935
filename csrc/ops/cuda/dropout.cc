#include "ops/dropout.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/dropout_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status Dropout(const DropoutArgs& args, Stream& stream) {
  if (args.x.elements() == 0) return absl::OkStatus();
  const DropoutSource& source = args.source;
  const bool all = source.positions == 0;
  const uint32_t threshold = DropoutThreshold(args.p);
  EISBACH_RETURN_IF_CUDA(cuda::LaunchDropout(
      cuda::ToType(args.x.dtype()), args.x.raw(), args.y.raw(),
      {.rows = args.x.dim(0) * args.x.dim(1),
       .first_row = all ? 0 : source.first_row,
       .positions = all ? args.x.dim(1) : source.positions,
       .width = args.x.dim(2),
       .first_feature = source.first_feature},
      source.seed, source.layer, source.sample_index.data<int64_t>(),
      source.step.data<int64_t>(), threshold, DropoutScale(threshold),
      cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(DropoutSlot, DeviceType::kCuda, &Dropout);

}  // namespace
}  // namespace eisbach::ops
