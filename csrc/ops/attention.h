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

// What a query sees besides being causal, and how its scores are made. Query t
// sees key s where first <= s <= t, with first the later of starts[t] and
// t - window + 1.
struct AttentionOptions {
  // See document_starts.h; undefined: a row is one document.
  Tensor starts{};
  // How many keys a query sees at most, its own counted (Mistral 7B,
  // arXiv:2310.06825); 0: all.
  int64_t window = 0;
  // What products of queries and keys are multiplied by; 0: 1 / sqrt(head_dim).
  double scale = 0;
  // Scores become cap * tanh(score / cap) (Gemma 2, arXiv:2408.00118); 0: they
  // stay as they are.
  double cap = 0;

  double ScaleFor(int64_t head_dim) const;
  // Whether some query of a row of `length` sees less than all before it.
  bool Hides(int64_t length) const {
    return starts.defined() || (window > 0 && window < length);
  }
};

// A scale other than 0 and a cap other than 0 lie between these: scores are
// f32, and what is hidden must stay below all of them.
inline constexpr double kLeastScoreFactor = 1e-4;
inline constexpr double kMostScoreFactor = 1e4;

// Causal scaled dot-product attention, o = softmax(scale q k^T) v, tiled with
// an online softmax: no T x T matrix is kept for a head, and tiles that no
// query sees are not computed. Dao, "FlashAttention-2", arXiv:2307.08691.
//
// qkv: [B, T, packed_width], f32, bf16 or f16. out: [B, T, heads * head_dim] of
// the same dtype. lse: f32 [B, heads, T], log of the sum of exponentials of the
// scores, which backward needs. All contiguous. A row that sees NaN becomes
// NaN; so may other rows of the same tile, whose zero weights meet it.
//
// No finite number of a document changes a bit of what another one gets or of
// its gradients. On cpu a document's bits are those that it has alone in a row,
// and NaN stays in its document.
struct AttentionForwardArgs {
  const Tensor& qkv;
  const AttentionHeads& heads;
  const Tensor& out;
  const Tensor& lse;
  AttentionOptions options{};
};
using AttentionForwardKernel = KernelSlot<AttentionForwardArgs>;
AttentionForwardKernel& AttentionForwardSlot();

struct AttentionOutput {
  Tensor out;
  Tensor lse;
};
absl::StatusOr<AttentionOutput> AttentionForward(
    const Tensor& qkv, const AttentionHeads& heads, Stream& stream,
    const AttentionOptions& options = {});

struct AttentionBackwardArgs {
  const Tensor& dout;
  const Tensor& qkv;
  const Tensor& out;
  const Tensor& lse;
  const AttentionHeads& heads;
  const Tensor& dqkv;
  AttentionOptions options{};
};
using AttentionBackwardKernel = KernelSlot<AttentionBackwardArgs>;
AttentionBackwardKernel& AttentionBackwardSlot();

// Returns dqkv, of the shape and dtype of qkv. `options` are forward's.
absl::StatusOr<Tensor> AttentionBackward(const Tensor& dout, const Tensor& qkv,
                                         const Tensor& out, const Tensor& lse,
                                         const AttentionHeads& heads,
                                         Stream& stream,
                                         const AttentionOptions& options = {});

}  // namespace eisbach::ops
