#include "ops/cached_attention.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/cached_attention_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status CachedAttentionCuda(const CachedAttentionArgs& args,
                                 Stream& stream) {
  const AttentionHeads& heads = args.heads;
  const cuda::CachedAttentionSizes sizes{
      .tokens = args.qkv.dim(1),
      .slots = args.cache.keys.dim(0),
      .capacity = args.cache.keys.dim(2),
      .heads = static_cast<int>(heads.heads),
      .kv_heads = static_cast<int>(heads.kv_heads),
      .head_dim = static_cast<int>(heads.head_dim),
      .group = static_cast<int>(heads.group),
      .query_offset = static_cast<int>(heads.query_offset),
      .window = args.options.window,
      .scale = static_cast<float>(args.options.ScaleFor(heads.head_dim)),
      .cap = static_cast<float>(args.options.cap)};
  const cuda::Type type = cuda::ToType(args.qkv.dtype());
  const int32_t* slots = args.places.slots.data<int32_t>();
  const int32_t* positions = args.places.positions.data<int32_t>();
  EISBACH_RETURN_IF_CUDA(cuda::LaunchCacheAppend(
      type, sizes, args.qkv.raw(), slots, positions, args.cache.keys.raw(),
      args.cache.values.raw(), cuda::Handle(stream)));
  EISBACH_RETURN_IF_CUDA(cuda::LaunchCachedAttention(
      type, sizes, args.qkv.raw(), slots, positions, args.cache.keys.raw(),
      args.cache.values.raw(), args.out.raw(), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(CachedAttentionSlot, DeviceType::kCuda,
                        &CachedAttentionCuda);

}  // namespace
}  // namespace eisbach::ops
