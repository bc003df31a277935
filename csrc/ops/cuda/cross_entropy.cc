#include "ops/cross_entropy.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/cross_entropy_kernels.h"

namespace eisbach::ops {
namespace {

cuda::LossShape ShapeOf(const Tensor& logits, int64_t valid_columns,
                        int64_t first_column) {
  return {logits.dim(0), logits.dim(1), valid_columns, first_column};
}

cuda::LossTerms TermsOf(const LossTerms& terms, int64_t vocab) {
  return {terms.z_loss, terms.label_smoothing, vocab};
}

absl::Status Stats(const CrossEntropyStatsArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchCrossEntropyStats(
      cuda::ToType(args.logits.dtype()), args.logits.raw(),
      args.targets.data<int32_t>(),
      ShapeOf(args.logits, args.valid_columns, args.first_column),
      args.stats.data<float>(), static_cast<int>(args.stats.dim(1)),
      cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status Combine(const CrossEntropyCombineArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchCrossEntropyCombine(
      args.stats.data<float>(), args.stats.dim(0), args.stats.dim(1),
      static_cast<int>(args.stats.dim(2)), args.targets.data<int32_t>(),
      TermsOf(args.terms, args.vocab),
      {.counted =
           args.counted == nullptr ? nullptr : args.counted->data<double>(),
       .lse = args.lse.data<float>(),
       .loss = args.loss.data<float>(),
       .added = args.added == nullptr ? nullptr : args.added->data<float>()},
      cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status Backward(const CrossEntropyBackwardArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchCrossEntropyBackward(
      cuda::ToType(args.logits.dtype()), args.logits.raw(),
      args.targets.data<int32_t>(), args.lse.data<float>(),
      ShapeOf(args.logits, args.valid_columns, args.first_column), args.scale,
      args.factor == nullptr ? nullptr : args.factor->data<float>(),
      args.weights == nullptr ? nullptr : args.weights->data<float>(),
      TermsOf(args.terms, args.vocab), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(CrossEntropyStatsSlot, DeviceType::kCuda, &Stats);
EISBACH_REGISTER_KERNEL(CrossEntropyCombineSlot, DeviceType::kCuda, &Combine);
EISBACH_REGISTER_KERNEL(CrossEntropyBackwardSlot, DeviceType::kCuda, &Backward);

}  // namespace
}  // namespace eisbach::ops
