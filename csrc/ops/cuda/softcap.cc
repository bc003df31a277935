#include "ops/softcap.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/softcap_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status SoftcapCuda(const SoftcapArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(
      cuda::LaunchSoftcap(cuda::ToType(args.x.dtype()), args.x.raw(), args.cap,
                          args.x.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status SoftcapBackwardCuda(const SoftcapBackwardArgs& args,
                                 Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchSoftcapBackward(
      cuda::ToType(args.dy.dtype()), args.dy.raw(), args.y.raw(), args.cap,
      args.dy.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(SoftcapSlot, DeviceType::kCuda, &SoftcapCuda);
EISBACH_REGISTER_KERNEL(SoftcapBackwardSlot, DeviceType::kCuda,
                        &SoftcapBackwardCuda);

}  // namespace
}  // namespace eisbach::ops
