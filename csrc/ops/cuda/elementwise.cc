#include "ops/elementwise.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/elementwise_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status Add(const AddArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(
      cuda::LaunchAdd(cuda::ToType(args.a.dtype()), args.a.raw(), args.b.raw(),
                      args.c.raw(), args.a.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status Scale(const ScaleArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(
      cuda::LaunchScale(cuda::ToType(args.x.dtype()), args.x.raw(), args.factor,
                        args.x.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(AddSlot, DeviceType::kCuda, &Add);
EISBACH_REGISTER_KERNEL(ScaleSlot, DeviceType::kCuda, &Scale);

}  // namespace
}  // namespace eisbach::ops
