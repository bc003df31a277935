#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "ops/attention.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// Tokens that follow one another, both in a tensor and in the row that they are
// from.
struct AttentionSpan {
  int64_t row = 0;  // of the tensor, the first one's
  int64_t count = 0;
  int64_t position = 0;  // the first one's in its whole row
};

// Causal attention (ops/attention.h) of some tokens of a row to some others,
// which may lie elsewhere: query at position p sees the keys of `keys` at
// positions first .. p, with first the later of its document's start and
// p - window + 1.
//
// qkv: [B, Tq, packed_width], of which the query heads of the rows of `queries`
// are read; keys_values: [B, Tk, 2 * kv_heads * head_dim] of the same dtype,
// key heads before value heads, of which the rows of `keys` are read.
// options.starts, i32 [B, Tq], are places in the whole row.
//
// out: f32 [B, Tq, heads * head_dim] and lse: f32 [B, heads, Tq] are written in
// the rows of `queries`. Where the call `merges`, they hold what these queries
// have attended to before, and become what they attend to in both, in f32:
//   lse = log(exp(lse_1) + exp(lse_2)),
//   out = exp(lse_1 - lse) out_1 + exp(lse_2 - lse) out_2
// (Liu et al., "Ring Attention", arXiv:2310.01889). A query that sees none of
// the keys keeps what it has; where nothing is merged it has zeros and an lse
// of minus infinity.
struct AttentionPartArgs {
  const Tensor& qkv;
  const Tensor& keys_values;
  const AttentionHeads& heads;
  AttentionSpan queries;
  AttentionSpan keys;
  const AttentionOptions& options;
  bool merges;
  const Tensor& out;
  const Tensor& lse;
};
using AttentionPartKernel = KernelSlot<AttentionPartArgs>;
AttentionPartKernel& AttentionPartSlot();
absl::Status AttentionPart(const AttentionPartArgs& args, Stream& stream);

// What such a part adds to the gradients, given the merged `out` (rounded to
// the dtype of qkv, as is dout: [B, Tq, heads * head_dim]) and lse of all
// parts. dqueries: f32 [B, Tq, heads * head_dim] and dkeys_values: f32, of the
// shape of keys_values, are added to.
struct AttentionPartBackwardArgs {
  const Tensor& dout;
  const Tensor& qkv;
  const Tensor& keys_values;
  const Tensor& out;
  const Tensor& lse;
  const AttentionHeads& heads;
  AttentionSpan queries;
  AttentionSpan keys;
  const AttentionOptions& options;
  const Tensor& dqueries;
  const Tensor& dkeys_values;
};
using AttentionPartBackwardKernel = KernelSlot<AttentionPartBackwardArgs>;
AttentionPartBackwardKernel& AttentionPartBackwardSlot();
absl::Status AttentionPartBackward(const AttentionPartBackwardArgs& args,
                                   Stream& stream);

// How many pairs of a query and a key that it sees there are, documents not
// discounted: what a part costs.
double AttentionPairs(const AttentionSpan& queries, const AttentionSpan& keys,
                      int64_t window);

}  // namespace eisbach::ops
