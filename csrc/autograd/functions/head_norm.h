#pragma once

#include "absl/status/statusor.h"
#include "ops/attention.h"
#include "ops/norm.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// A packed qkv [B, T, width] whose query heads are RMS-normalised by `query`,
// its key heads by `key`; see ops/head_norm.h. Weights are [head_dim], or as
// wide as several heads, which then are one row. Values pass.
absl::StatusOr<Tensor> HeadNorm(double eps, const Tensor& qkv,
                                const ops::AttentionHeads& heads,
                                Parameter& query, Parameter& key,
                                Stream& stream,
                                ops::NormKind kind = ops::NormKind::kRms);

}  // namespace eisbach::autograd
