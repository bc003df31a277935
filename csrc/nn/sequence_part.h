#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "device/stream.h"
#include "ops/attention.h"
#include "tensor/tensor.h"

namespace eisbach::nn {

// Causal attention of a packed qkv [B, T, packed_width] whose keys may lie
// elsewhere too, to [B, T, heads * head_dim], with gradients. `options` has no
// starts: whoever made the function knows the documents.
using AttentionFunction = std::function<absl::StatusOr<Tensor>(
    const Tensor& qkv, const ops::AttentionHeads& heads,
    const ops::AttentionOptions& options, Stream& stream)>;

// Adds to what was found of the parts of some rows, in place, what was found of
// their other parts: the same wherever a part of them is.
using PartsSum = std::function<absl::Status(const Tensor& sums, Stream&)>;

// What is to be known of tokens [B, T] that are a part of their rows.
struct SequencePart {
  Tensor positions;           // i32 [B, T], each token's place in its row
  Tensor document_positions;  // and in its document
  // i32 [B, T], where in the row that begins; undefined: at 0.
  Tensor starts{};
  AttentionFunction attention;
  PartsSum add_up;
};

}  // namespace eisbach::nn
