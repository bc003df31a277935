#include "ops/attention.h"

#include "core/status_macros.h"
#include "ops/cuda/attention_choice.h"
#include "ops/cuda/attention_kernels.h"
#include "ops/cuda/bridge.h"

namespace eisbach::ops {
namespace {

cuda::AttentionKey KeyOf(const Tensor& qkv, const AttentionHeads& heads,
                         const AttentionOptions& options,
                         cuda::AttentionPass pass) {
  bool even = heads.heads % heads.kv_heads == 0;
  for (int64_t head = 0; even && head < heads.heads; ++head) {
    even = heads.kv_head_of(head) == head / (heads.heads / heads.kv_heads);
  }
  return {.batch = qkv.dim(0),
          .length = qkv.dim(1),
          .heads = heads.heads,
          .kv_heads = heads.kv_heads,
          .head_dim = heads.head_dim,
          .even = even,
          .hides = options.Hides(qkv.dim(1)),
          .scale = options.scale,
          .cap = options.cap,
          .dtype = qkv.dtype(),
          .pass = pass};
}

cuda::AttentionSizes SizesOf(const Tensor& qkv, const AttentionHeads& heads,
                             const AttentionOptions& options) {
  const bool window = options.window > 0 && options.window < qkv.dim(1);
  return {.batch = qkv.dim(0),
          .length = qkv.dim(1),
          .heads = static_cast<int>(heads.heads),
          .kv_heads = static_cast<int>(heads.kv_heads),
          .head_dim = static_cast<int>(heads.head_dim),
          .group = static_cast<int>(heads.group),
          .query_offset = static_cast<int>(heads.query_offset),
          .scale = static_cast<float>(options.ScaleFor(heads.head_dim)),
          .starts = options.starts.defined() ? options.starts.data<int32_t>()
                                             : nullptr,
          .window = window ? static_cast<int>(options.window) : 0,
          .cap = static_cast<float>(options.cap)};
}

absl::Status AttentionForwardCuda(const AttentionForwardArgs& args,
                                  Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(
      cuda::AttentionRunner * library,
      cuda::ChooseAttention(KeyOf(args.qkv, args.heads, args.options,
                                  cuda::AttentionPass::kForward),
                            stream));
  if (library != nullptr) {
    return library->Run({.qkv = args.qkv.raw(),
                         .out = args.out.raw(),
                         .lse = args.lse.data<float>()},
                        stream);
  }
  EISBACH_RETURN_IF_CUDA(cuda::LaunchAttentionForward(
      cuda::ToType(args.qkv.dtype()),
      SizesOf(args.qkv, args.heads, args.options), args.qkv.raw(),
      args.out.raw(), args.lse.data<float>(), cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status AttentionBackwardCuda(const AttentionBackwardArgs& args,
                                   Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(
      cuda::AttentionRunner * library,
      cuda::ChooseAttention(KeyOf(args.qkv, args.heads, args.options,
                                  cuda::AttentionPass::kBackward),
                            stream));
  if (library != nullptr) {
    return library->Run({.qkv = args.qkv.raw(),
                         .out = args.out.raw(),
                         .lse = args.lse.data<float>(),
                         .dout = args.dout.raw(),
                         .dqkv = args.dqkv.raw()},
                        stream);
  }
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor delta,
      Tensor::Empty(args.lse.shape(), DType::kF32, stream.device()));
  const cuda::Type type = cuda::ToType(args.qkv.dtype());
  const cuda::AttentionSizes sizes =
      SizesOf(args.qkv, args.heads, args.options);
  EISBACH_RETURN_IF_CUDA(
      cuda::LaunchAttentionDelta(type, sizes, args.dout.raw(), args.out.raw(),
                                 delta.data<float>(), cuda::Handle(stream)));
  EISBACH_RETURN_IF_CUDA(cuda::LaunchAttentionBackward(
      type, sizes, args.dout.raw(), args.qkv.raw(), args.lse.data<float>(),
      delta.data<float>(), args.dqkv.raw(), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(AttentionForwardSlot, DeviceType::kCuda,
                        &AttentionForwardCuda);
EISBACH_REGISTER_KERNEL(AttentionBackwardSlot, DeviceType::kCuda,
                        &AttentionBackwardCuda);

}  // namespace
}  // namespace eisbach::ops
