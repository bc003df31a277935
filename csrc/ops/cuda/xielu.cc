#include "ops/xielu.h"

#include "core/status_macros.h"
#include "ops/cuda/bridge.h"
#include "ops/cuda/reduce_kernels.h"
#include "ops/cuda/xielu_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status XieluForwardCuda(const XieluForwardArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchXieluForward(
      cuda::ToType(args.x.dtype()), args.x.raw(), args.alpha_p.raw(),
      args.alpha_n.raw(), args.y.raw(), args.x.elements(),
      cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status XieluBackwardCuda(const XieluBackwardArgs& args, Stream& stream) {
  const int64_t n = args.x.elements();
  const int64_t blocks = cuda::XieluBackwardBlocks(n);
  const cudaStream_t handle = cuda::Handle(stream);
  EISBACH_ASSIGN_OR_RETURN(
      Tensor partial,
      Tensor::Empty(Shape{2, blocks}, DType::kF32, stream.device()));
  float* sums = partial.data<float>();
  EISBACH_RETURN_IF_CUDA(cuda::LaunchXieluBackward(
      cuda::ToType(args.x.dtype()), args.dy.raw(), args.x.raw(),
      args.alpha_p.raw(), args.alpha_n.raw(), args.dx.raw(), sums, n, handle));
  const auto add = [&](const float* from, const Tensor& to) {
    return cuda::LaunchColumnSum(cuda::Type::kF32, from, blocks, /*width=*/1,
                                 blocks, args.accumulate, to.data<float>(),
                                 handle);
  };
  EISBACH_RETURN_IF_CUDA(add(sums, args.dalpha_p));
  EISBACH_RETURN_IF_CUDA(add(sums + blocks, args.dalpha_n));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(XieluForwardSlot, DeviceType::kCuda, &XieluForwardCuda);
EISBACH_REGISTER_KERNEL(XieluBackwardSlot, DeviceType::kCuda,
                        &XieluBackwardCuda);

}  // namespace
}  // namespace eisbach::ops
