#pragma once

#include "absl/status/statusor.h"
#include "ops/attention.h"
#include "ops/kernel_slot.h"
#include "ops/rope_frequencies.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// Rotary position embedding, half-split form (Llama's `rotate_half`): for the
// pair (x[i], x[i + D/2]) at position t the angle is t times the pair's
// frequency (rope_frequencies.h). D is the width of a head, or of its first
// part where only that is rotated. Su et al., arXiv:2104.09864.

// cos and sin for every position, times RopeAmplitude: f32 [context, D / 2, 2]
// with D = RotatedWidth. Computed in double on the host, once for a model.
absl::StatusOr<Tensor> RopeTable(int64_t context, int64_t head_dim,
                                 const RopeOptions& options, Stream& stream);

// Rotates the query and key heads of a packed qkv [B, T, width] in place, of
// each as many numbers as the table has angles for;
// `inverse` rotates back, which is the gradient of the rotation (both multiply
// by the amplitude). A token's position is its place in its document where
// `starts` (document_starts.h) is defined, else in its row.
struct RopeArgs {
  const Tensor& qkv;
  const AttentionHeads& heads;
  const Tensor& table;
  bool inverse;
  Tensor starts{};
};
using RopeKernel = KernelSlot<RopeArgs>;
RopeKernel& RopeSlot();

absl::Status Rope(const Tensor& qkv, const AttentionHeads& heads,
                  const Tensor& table, bool inverse, Stream& stream,
                  const Tensor& starts = Tensor());

// The same of tokens that stand anywhere: positions, i32 [B, T], are rows of
// the table, which is read as EmbeddingForward reads one.
absl::Status RopeAt(const Tensor& qkv, const AttentionHeads& heads,
                    const Tensor& table, const Tensor& positions, bool inverse,
                    Stream& stream);

}  // namespace eisbach::ops
