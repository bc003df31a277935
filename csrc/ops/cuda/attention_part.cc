#include "ops/attention_part.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/cuda/attention_part_kernels.h"
#include "ops/cuda/bridge.h"

namespace eisbach::ops {
namespace {

template <typename Args>
absl::Status CheckHeadDim(const Args& args) {
  if (args.heads.head_dim <= cuda::kMostPartHeadDim) return absl::OkStatus();
  return absl::UnimplementedError(absl::StrCat(
      "attention_part: head_dim=", args.heads.head_dim, " is above ",
      cuda::kMostPartHeadDim,
      " on cuda (model.head_dim); parallel.context_method=ulysses takes any"));
}

template <typename Args>
cuda::AttentionPartSizes SizesOf(const Args& args) {
  const AttentionHeads& heads = args.heads;
  const AttentionOptions& options = args.options;
  return {
      .common = {.batch = args.qkv.dim(0),
                 .length = args.queries.count,
                 .heads = static_cast<int>(heads.heads),
                 .kv_heads = static_cast<int>(heads.kv_heads),
                 .head_dim = static_cast<int>(heads.head_dim),
                 .group = static_cast<int>(heads.group),
                 .query_offset = static_cast<int>(heads.query_offset),
                 .scale = static_cast<float>(options.ScaleFor(heads.head_dim)),
                 .starts = options.starts.defined()
                               ? options.starts.template data<int32_t>()
                               : nullptr,
                 .window = static_cast<int>(options.window),
                 .cap = static_cast<float>(options.cap)},
      .query_rows = args.qkv.dim(1),
      .query_row = args.queries.row,
      .query_position = args.queries.position,
      .key_rows = args.keys_values.dim(1),
      .key_row = args.keys.row,
      .key_count = args.keys.count,
      .key_position = args.keys.position};
}

absl::Status AttentionPartCuda(const AttentionPartArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckHeadDim(args));
  if (args.queries.count == 0 || args.qkv.dim(0) == 0) return absl::OkStatus();
  EISBACH_RETURN_IF_CUDA(cuda::LaunchAttentionPart(
      cuda::ToType(args.qkv.dtype()), SizesOf(args), args.merges,
      args.qkv.raw(), args.keys_values.raw(), args.out.data<float>(),
      args.lse.data<float>(), cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status AttentionPartBackwardCuda(const AttentionPartBackwardArgs& args,
                                       Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckHeadDim(args));
  if (args.queries.count == 0 || args.keys.count == 0 || args.qkv.dim(0) == 0) {
    return absl::OkStatus();
  }
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor delta,
      Tensor::Empty(args.lse.shape(), DType::kF32, stream.device()));
  const cuda::Type type = cuda::ToType(args.qkv.dtype());
  const cuda::AttentionPartSizes sizes = SizesOf(args);
  cuda::AttentionSizes whole = sizes.common;
  whole.length = args.qkv.dim(1);
  EISBACH_RETURN_IF_CUDA(
      cuda::LaunchAttentionDelta(type, whole, args.dout.raw(), args.out.raw(),
                                 delta.data<float>(), cuda::Handle(stream)));
  EISBACH_RETURN_IF_CUDA(cuda::LaunchAttentionPartBackward(
      type, sizes, args.dout.raw(), args.qkv.raw(), args.keys_values.raw(),
      args.lse.data<float>(), delta.data<float>(), args.dqueries.data<float>(),
      args.dkeys_values.data<float>(), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(AttentionPartSlot, DeviceType::kCuda,
                        &AttentionPartCuda);
EISBACH_REGISTER_KERNEL(AttentionPartBackwardSlot, DeviceType::kCuda,
                        &AttentionPartBackwardCuda);

}  // namespace
}  // namespace eisbach::ops
