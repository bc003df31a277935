#include "ops/rope.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/rope_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status Rope(const RopeArgs& args, Stream& stream) {
  const AttentionHeads& heads = args.heads;
  EISBACH_RETURN_IF_CUDA(cuda::LaunchRope(
      cuda::ToType(args.qkv.dtype()), args.qkv.raw(), args.table.data<float>(),
      args.starts.defined() ? args.starts.data<int32_t>() : nullptr,
      args.qkv.dim(0) * args.qkv.dim(1), heads.packed_width(), args.qkv.dim(1),
      static_cast<int>(heads.heads + heads.kv_heads),
      static_cast<int>(heads.head_dim), static_cast<int>(args.table.dim(1)),
      args.inverse, cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(RopeSlot, DeviceType::kCuda, &Rope);

}  // namespace
}  // namespace eisbach::ops
