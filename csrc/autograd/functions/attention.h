#pragma once

#include "absl/status/statusor.h"
#include "ops/attention.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// Causal attention on a packed qkv [B, T, width]; see ops/attention.h.
absl::StatusOr<Tensor> Attention(const Tensor& qkv,
                                 const ops::AttentionHeads& heads,
                                 Stream& stream,
                                 const ops::AttentionOptions& options = {});

// Rotates qkv's query and key heads in place and returns it; see ops/rope.h.
// Nothing else may need the unrotated values.
absl::StatusOr<Tensor> Rope(const Tensor& qkv, const ops::AttentionHeads& heads,
                            const Tensor& table, Stream& stream,
                            const Tensor& starts = Tensor());
// The same of tokens at `positions`, i32 [B, T] (ops::RopeAt).
absl::StatusOr<Tensor> RopeAt(const Tensor& qkv,
                              const ops::AttentionHeads& heads,
                              const Tensor& table, const Tensor& positions,
                              Stream& stream);

}  // namespace eisbach::autograd
