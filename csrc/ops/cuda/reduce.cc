#include "ops/reduce.h"

#include "core/status_macros.h"
#include "ops/cuda/bridge.h"
#include "ops/cuda/reduce_kernels.h"
#include "ops/op_check.h"

namespace eisbach::ops {
namespace {

absl::Status ColumnSum(const ColumnSumArgs& args, Stream& stream) {
  const long long rows = LeadingElements(args.x.shape());
  const long long width = args.x.dim(-1);
  const long long chunk = cuda::ColumnSumChunk(rows, width);
  const cuda::Type type = cuda::ToType(args.x.dtype());
  const cudaStream_t handle = cuda::Handle(stream);
  float* out = args.out.data<float>();
  if (rows <= chunk) {
    EISBACH_RETURN_IF_CUDA(cuda::LaunchColumnSum(
        type, args.x.raw(), rows, width, chunk, args.accumulate, out, handle));
    return absl::OkStatus();
  }
  const long long chunks = (rows + chunk - 1) / chunk;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor partial,
      Tensor::Empty(Shape{chunks, width}, DType::kF32, stream.device()));
  EISBACH_RETURN_IF_CUDA(cuda::LaunchColumnSum(type, args.x.raw(), rows, width,
                                               chunk, /*accumulate=*/false,
                                               partial.data<float>(), handle));
  EISBACH_RETURN_IF_CUDA(cuda::LaunchColumnSum(cuda::Type::kF32, partial.raw(),
                                               chunks, width, chunks,
                                               args.accumulate, out, handle));
  return absl::OkStatus();
}

absl::Status Sum(const SumArgs& args, Stream& stream) {
  const long long n = args.x.elements();
  EISBACH_ASSIGN_OR_RETURN(
      Tensor partial,
      Tensor::Empty(Shape{cuda::SumBlocks(n)}, DType::kF64, stream.device()));
  EISBACH_RETURN_IF_CUDA(cuda::LaunchSum(
      args.x.data<float>(), n, args.power, partial.data<double>(),
      args.accumulate, args.out.data<double>(), cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status CountNonFinite(const CountNonFiniteArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(
      stream.device().SetZero(args.out.raw(), args.out.bytes(), stream));
  EISBACH_RETURN_IF_CUDA(cuda::LaunchCountNonFinite(
      cuda::ToType(args.x.dtype()), args.x.raw(), args.x.elements(),
      static_cast<unsigned long long*>(args.out.raw()), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(ColumnSumSlot, DeviceType::kCuda, &ColumnSum);
EISBACH_REGISTER_KERNEL(SumSlot, DeviceType::kCuda, &Sum);
EISBACH_REGISTER_KERNEL(CountNonFiniteSlot, DeviceType::kCuda, &CountNonFinite);

}  // namespace
}  // namespace eisbach::ops
