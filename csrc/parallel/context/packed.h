#pragma once

#include "absl/status/statusor.h"
#include "ops/attention.h"
#include "tensor/tensor.h"

namespace eisbach::parallel {

// The key and value heads of a packed qkv [B, T, packed_width], as
// [B, T, 2 * kv_heads * head_dim]: what travels between ranks.
absl::StatusOr<Tensor> KeysAndValuesOf(const Tensor& qkv,
                                       const ops::AttentionHeads& heads,
                                       Stream& stream);

// The gradient of qkv, of `dtype`, from those of its queries and of its keys
// and values, which are f32.
absl::StatusOr<Tensor> PackGradient(const Tensor& dqueries,
                                    const Tensor& dkeys_values, DType dtype,
                                    Stream& stream);

}  // namespace eisbach::parallel
