#pragma once

#include "absl/status/statusor.h"
#include "parallel/context/divided_rows.h"

namespace eisbach::parallel {

// Causal attention of this rank's part of the rows, qkv [B, T / n, width], to
// [B, T / n, heads * head_dim], with gradients. Keys and values go from rank to
// rank in a ring, each hop behind the compute of the one before; what is
// attended to is merged (Liu et al., "Ring Attention", arXiv:2310.01889). In
// backward they go round once more, and their gradients, in f32, behind them.
//
// A rank holds its own keys and values and two more ranks'.
absl::StatusOr<Tensor> RingAttention(const Tensor& qkv,
                                     const ops::AttentionHeads& heads,
                                     const ops::AttentionOptions& options,
                                     const DividedRows& rows, Stream& stream);

}  // namespace eisbach::parallel
