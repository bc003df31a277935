#pragma once

#include "absl/status/statusor.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// How the columns of a packed qkv tensor are divided: `heads` query heads,
// then `kv_heads` key heads, then as many value heads, each `head_dim` wide.
// Query head h reads key/value head (h + query_offset) / group, which must be
// below kv_heads. `group` is the number of query heads that share one key/value
// head in the whole model; `query_offset` is non-zero where a tensor rank's
// first query head is not the first of its group.
struct AttentionHeads {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t group = 1;
  int64_t query_offset = 0;

  int64_t packed_width() const { return (heads + 2 * kv_heads) * head_dim; }
  int64_t kv_head_of(int64_t head) const {
    return (head + query_offset) / group;
  }
};

// InvalidArgument, naming `op`, where the counts do not fit one another.
absl::Status CheckHeads(absl::string_view op, const AttentionHeads& heads);

// Causal scaled dot-product attention, o = softmax(q k^T / sqrt(head_dim)) v,
// tiled with an online softmax: no T x T matrix is kept for a head.
// Dao, "FlashAttention-2", arXiv:2307.08691.
//
// qkv: [B, T, packed_width], f32, bf16 or f16. out: [B, T, heads * head_dim] of
// the same dtype. lse: f32 [B, heads, T], log of the sum of exponentials of the
// scaled scores, which backward needs. All contiguous. A row that sees NaN
// becomes NaN; so may earlier rows of the same tile, whose zero weights meet
// it.
struct AttentionForwardArgs {
  const Tensor& qkv;
  const AttentionHeads& heads;
  const Tensor& out;
  const Tensor& lse;
};
using AttentionForwardKernel = KernelSlot<AttentionForwardArgs>;
AttentionForwardKernel& AttentionForwardSlot();

struct AttentionOutput {
  Tensor out;
  Tensor lse;
};
absl::StatusOr<AttentionOutput> AttentionForward(const Tensor& qkv,
                                                 const AttentionHeads& heads,
                                                 Stream& stream);

struct AttentionBackwardArgs {
  const Tensor& dout;
  const Tensor& qkv;
  const Tensor& out;
  const Tensor& lse;
  const AttentionHeads& heads;
  const Tensor& dqkv;
};
using AttentionBackwardKernel = KernelSlot<AttentionBackwardArgs>;
AttentionBackwardKernel& AttentionBackwardSlot();

// Returns dqkv, of the shape and dtype of qkv.
absl::StatusOr<Tensor> AttentionBackward(const Tensor& dout, const Tensor& qkv,
                                         const Tensor& out, const Tensor& lse,
                                         const AttentionHeads& heads,
                                         Stream& stream);

}  // namespace eisbach::ops
