#include "ops/fingerprint.h"

#include "core/status_macros.h"
#include "ops/cuda/bridge.h"
#include "ops/cuda/fingerprint_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status Fingerprint(const FingerprintArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(
      stream.device().SetZero(args.out.raw(), args.out.bytes(), stream));
  EISBACH_RETURN_IF_CUDA(cuda::LaunchFingerprint(
      cuda::ToType(args.x.dtype()), args.x.raw(), args.x.elements(),
      static_cast<unsigned long long*>(args.out.raw()), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(FingerprintSlot, DeviceType::kCuda, &Fingerprint);

}  // namespace
}  // namespace eisbach::ops
