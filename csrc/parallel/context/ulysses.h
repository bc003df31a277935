#pragma once

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "nn/sequence_part.h"
#include "parallel/context/zigzag.h"

namespace eisbach::parallel {

// Whether each rank of `ranks` can have as many query heads as the others and
// their key/value heads.
bool DividesHeads(const ops::AttentionHeads& heads, int ranks);

// Attention of what `group` has of the rows, of which each rank has a part by
// `zigzag`: qkv [B, T / n, width] to [B, T / n, heads * head_dim], with
// gradients, where DividesHeads. An all-to-all gives each rank all T tokens of
// some heads, on which it calls `attend`, and another gives back its part of
// all heads (Jacobs et al., "DeepSpeed Ulysses", arXiv:2309.14509).
absl::StatusOr<Tensor> UlyssesAttention(const Tensor& qkv,
                                        const ops::AttentionHeads& heads,
                                        const ops::AttentionOptions& options,
                                        const Zigzag& zigzag,
                                        comm::Communicator& group,
                                        const nn::AttentionFunction& attend,
                                        Stream& stream);

}  // namespace eisbach::parallel
