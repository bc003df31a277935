#pragma once

#include "absl/status/statusor.h"
#include "ops/attention.h"
#include "ops/kernel_slot.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// What a layer has computed of the tokens that it was given before, so that
// none is computed again: keys and values of several sequences, each
// [slots, kv_heads, capacity, head_dim] of the compute dtype, contiguous.
struct KeyValues {
  Tensor keys;
  Tensor values;
};

// Where the N tokens of a call stand: each in a slot, at a position there.
// Tokens of one slot stand together and in the order of their positions, which
// follow one another and those that the slot has. i32 [N] each.
struct TokenPlaces {
  Tensor slots;
  Tensor positions;
};

// Attention of N new tokens to all that their slots have seen and to each
// other: writes their keys and values into `cache`, then
//   out[n] = softmax(scores of keys at positions 0 .. positions[n]) · values,
// by the scale, window and cap of `options`, which has no starts.
// qkv: [1, N, packed_width] as ops/attention.h packs it, f32, bf16 or f16; out:
// [1, N, heads * head_dim]. Sums are in f32. A token's bits depend on its slot
// alone, not on what else is in the call. What a slot holds past its tokens is
// never read.
struct CachedAttentionArgs {
  const Tensor& qkv;
  const AttentionHeads& heads;
  const KeyValues& cache;
  const TokenPlaces& places;
  const AttentionOptions& options;
  const Tensor& out;
};
using CachedAttentionKernel = KernelSlot<CachedAttentionArgs>;
CachedAttentionKernel& CachedAttentionSlot();

// On cpu places outside the cache are InvalidArgument; elsewhere nobody looks,
// and they are not written. The cost counts a cache that is full.
absl::StatusOr<Tensor> CachedAttention(
    const Tensor& qkv, const AttentionHeads& heads, const KeyValues& cache,
    const TokenPlaces& places, const AttentionOptions& options, Stream& stream);

}  // namespace eisbach::ops
