#include "ops/softmax.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/softmax_kernels.h"
#include "ops/op_check.h"

namespace eisbach::ops {
namespace {

absl::Status SoftmaxForward(const SoftmaxForwardArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchSoftmaxForward(
      cuda::ToType(args.x.dtype()), args.x.raw(), args.y.raw(),
      LeadingElements(args.x.shape()), args.x.dim(-1), cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status SoftmaxBackward(const SoftmaxBackwardArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchSoftmaxBackward(
      cuda::ToType(args.y.dtype()), args.dy.raw(), args.y.raw(), args.dx.raw(),
      LeadingElements(args.y.shape()), args.y.dim(-1), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(SoftmaxForwardSlot, DeviceType::kCuda, &SoftmaxForward);
EISBACH_REGISTER_KERNEL(SoftmaxBackwardSlot, DeviceType::kCuda,
                        &SoftmaxBackward);

}  // namespace
}  // namespace eisbach::ops
