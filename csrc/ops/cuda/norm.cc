#include "ops/norm.h"

#include "core/status_macros.h"
#include "ops/cuda/bridge.h"
#include "ops/cuda/norm_kernels.h"
#include "ops/cuda/reduce_kernels.h"
#include "ops/rows.h"

namespace eisbach::ops {
namespace {

template <typename T = void>
T* DataOrNull(const Tensor* t) {
  return t == nullptr ? nullptr : static_cast<T*>(t->raw());
}

absl::Status NormForward(const NormForwardArgs& args, Stream& stream) {
  const Rows rows = RowsOf(args.x, args.weight.dim(0));
  EISBACH_RETURN_IF_CUDA(
      cuda::LaunchNormForward({.type = cuda::ToType(args.x.dtype()),
                               .rows = rows.count,
                               .width = rows.width,
                               .inner = rows.inner,
                               .stride = rows.stride,
                               .x = args.x.raw(),
                               .residual = DataOrNull(args.residual),
                               .weight = args.weight.raw(),
                               .bias = DataOrNull(args.bias),
                               .sum = DataOrNull(args.sum),
                               .y = args.y.raw(),
                               .mean = DataOrNull<float>(args.mean),
                               .rstd = args.rstd.data<float>(),
                               .shift = WeightShift(args.kind)},
                              args.eps, cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status Normalize(const NormalizeArgs& args, Stream& stream) {
  const Rows rows = RowsOf(args.sum, args.weight.dim(0));
  EISBACH_RETURN_IF_CUDA(
      cuda::LaunchNormalize({.type = cuda::ToType(args.sum.dtype()),
                             .rows = rows.count,
                             .width = rows.width,
                             .inner = rows.inner,
                             .stride = rows.stride,
                             .x = args.sum.raw(),
                             .residual = nullptr,
                             .weight = args.weight.raw(),
                             .bias = DataOrNull(args.bias),
                             .sum = nullptr,
                             .y = args.y.raw(),
                             .mean = DataOrNull<float>(args.mean),
                             .rstd = args.rstd.data<float>(),
                             .shift = WeightShift(args.kind)},
                            cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status NormBackward(const NormBackwardArgs& args, Stream& stream) {
  const Rows rows = RowsOf(args.sum, args.weight.dim(0));
  const cuda::NormGradients gradients = {.type = cuda::ToType(args.sum.dtype()),
                                         .layer = args.kind == NormKind::kLayer,
                                         .rows = rows.count,
                                         .width = rows.width,
                                         .inner = rows.inner,
                                         .stride = rows.stride,
                                         .dy = args.dy.raw(),
                                         .dsum = DataOrNull(args.dsum),
                                         .sum = args.sum.raw(),
                                         .weight = args.weight.raw(),
                                         .mean = DataOrNull<float>(args.mean),
                                         .rstd = args.rstd.data<float>(),
                                         .dx = args.dx.raw(),
                                         .shift = WeightShift(args.kind)};
  const int64_t blocks = cuda::NormBackwardBlocks(
      gradients, cuda::DeviceOf(stream).multiprocessors());
  const int64_t width = gradients.width;
  const cudaStream_t handle = cuda::Handle(stream);
  EISBACH_ASSIGN_OR_RETURN(
      Tensor partial,
      Tensor::Empty(Shape{args.dbias == nullptr ? 1 : 2, blocks, width},
                    DType::kF32, stream.device()));
  float* sums = partial.data<float>();
  EISBACH_RETURN_IF_CUDA(cuda::LaunchNormBackward(
      gradients, static_cast<int>(blocks), sums, handle));
  const auto add = [&](const float* from, const Tensor& to) {
    return cuda::LaunchColumnSum(cuda::Type::kF32, from, blocks, width, blocks,
                                 args.accumulate, to.data<float>(), handle);
  };
  EISBACH_RETURN_IF_CUDA(add(sums, args.dweight));
  if (args.dbias != nullptr) {
    EISBACH_RETURN_IF_CUDA(add(sums + blocks * width, *args.dbias));
  }
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(NormForwardSlot, DeviceType::kCuda, &NormForward);
EISBACH_REGISTER_KERNEL(NormalizeSlot, DeviceType::kCuda, &Normalize);
EISBACH_REGISTER_KERNEL(NormBackwardSlot, DeviceType::kCuda, &NormBackward);

}  // namespace
}  // namespace eisbach::ops
