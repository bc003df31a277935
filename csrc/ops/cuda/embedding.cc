#include "ops/embedding.h"

#include "core/status_macros.h"
#include "ops/cuda/bridge.h"
#include "ops/cuda/embedding_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status EmbeddingForward(const EmbeddingForwardArgs& args,
                              Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchEmbeddingForward(
      args.ids.data<int32_t>(), args.ids.elements(), args.weight.raw(),
      args.first_row, args.weight.dim(0), args.vocab,
      args.weight.dim(1) * SizeOf(args.weight.dtype()), args.y.raw(),
      cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status EmbeddingBackward(const EmbeddingBackwardArgs& args,
                               Stream& stream) {
  const int64_t tokens = args.ids.elements();
  const int64_t rows = args.dweight.dim(0);
  const cudaStream_t handle = cuda::Handle(stream);
  EISBACH_ASSIGN_OR_RETURN(Tensor memory,
                           Tensor::Empty(Shape{cuda::BucketBytes(tokens, rows)},
                                         DType::kU8, stream.device()));
  const cuda::TokenBuckets buckets(memory.raw(), tokens, rows);
  EISBACH_RETURN_IF_ERROR(
      stream.device().SetZero(memory.raw(), buckets.cleared, stream));
  EISBACH_RETURN_IF_CUDA(cuda::LaunchSortTokens(
      args.ids.data<int32_t>(), args.first_row, buckets, handle));
  EISBACH_RETURN_IF_CUDA(cuda::LaunchEmbeddingBackward(
      cuda::ToType(args.dy.dtype()), args.dy.raw(), args.dweight.dim(1),
      buckets, args.accumulate, args.dweight.data<float>(), handle));
  return absl::OkStatus();
}

// The elements of [positions, width].
int64_t PlaneOf(const Tensor& t) { return t.dim(-2) * t.dim(-1); }

int64_t BatchOf(const Tensor& t) {
  return PlaneOf(t) == 0 ? 0 : t.elements() / PlaneOf(t);
}

absl::Status AddPosition(const AddPositionArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchAddPosition(
      cuda::ToType(args.x.dtype()), args.x.raw(), args.weight.raw(),
      BatchOf(args.x), PlaneOf(args.x), cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status PositionBackward(const PositionBackwardArgs& args,
                              Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchPositionBackward(
      cuda::ToType(args.dy.dtype()), args.dy.raw(), BatchOf(args.dy),
      PlaneOf(args.dy), args.dweight.elements(), args.accumulate,
      args.dweight.data<float>(), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(EmbeddingForwardSlot, DeviceType::kCuda,
                        &EmbeddingForward);
EISBACH_REGISTER_KERNEL(EmbeddingBackwardSlot, DeviceType::kCuda,
                        &EmbeddingBackward);
EISBACH_REGISTER_KERNEL(AddPositionSlot, DeviceType::kCuda, &AddPosition);
EISBACH_REGISTER_KERNEL(PositionBackwardSlot, DeviceType::kCuda,
                        &PositionBackward);

}  // namespace
}  // namespace eisbach::ops
