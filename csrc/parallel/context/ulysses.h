#pragma once

#include "absl/status/statusor.h"
#include "parallel/context/divided_rows.h"

namespace eisbach::parallel {

// Whether each rank of `ranks` can have as many query heads as the others and
// their key/value heads.
bool DividesHeads(const ops::AttentionHeads& heads, int ranks);

// The same as RingAttention (ring.h), where DividesHeads: an all-to-all gives
// each rank whole rows of some heads, on which it computes plain attention
// (ops/attention.h), and another gives back its part of all heads (Jacobs et
// al., "DeepSpeed Ulysses", arXiv:2309.14509).
absl::StatusOr<Tensor> UlyssesAttention(const Tensor& qkv,
                                        const ops::AttentionHeads& heads,
                                        const ops::AttentionOptions& options,
                                        const DividedRows& rows,
                                        Stream& stream);

}  // namespace eisbach::parallel
