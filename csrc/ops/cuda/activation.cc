#include "ops/activation.h"

#include "ops/cuda/activation_kernels.h"
#include "ops/cuda/bridge.h"

namespace eisbach::ops {
namespace {

absl::Status GeluForward(const GeluForwardArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchGeluForward(
      cuda::ToType(args.x.dtype()), args.x.raw(), args.y.raw(),
      args.x.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status GeluBackward(const GeluBackwardArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchGeluBackward(
      cuda::ToType(args.x.dtype()), args.dy.raw(), args.x.raw(), args.dx.raw(),
      args.x.elements(), cuda::Handle(stream)));
  return absl::OkStatus();
}

// Rows of a tensor whose last dimension is not 0.
long long Rows(const Tensor& t) { return t.elements() / t.dim(-1); }

absl::Status SwigluForward(const SwigluForwardArgs& args, Stream& stream) {
  if (args.y.elements() == 0) return absl::OkStatus();
  EISBACH_RETURN_IF_CUDA(cuda::LaunchSwigluForward(
      cuda::ToType(args.y.dtype()), args.gate_up.raw(), args.y.raw(),
      Rows(args.y), args.y.dim(-1), args.gate == Gate::kGelu,
      cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status SwigluBackward(const SwigluBackwardArgs& args, Stream& stream) {
  if (args.dy.elements() == 0) return absl::OkStatus();
  EISBACH_RETURN_IF_CUDA(cuda::LaunchSwigluBackward(
      cuda::ToType(args.dy.dtype()), args.dy.raw(), args.gate_up.raw(),
      args.dgate_up.raw(), Rows(args.dy), args.dy.dim(-1),
      args.gate == Gate::kGelu, cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(GeluForwardSlot, DeviceType::kCuda, &GeluForward);
EISBACH_REGISTER_KERNEL(GeluBackwardSlot, DeviceType::kCuda, &GeluBackward);
EISBACH_REGISTER_KERNEL(SwigluForwardSlot, DeviceType::kCuda, &SwigluForward);
EISBACH_REGISTER_KERNEL(SwigluBackwardSlot, DeviceType::kCuda, &SwigluBackward);

}  // namespace
}  // namespace eisbach::ops
