#pragma once

#include "absl/status/statusor.h"
#include "ops/norm.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// RMS norm of each head by itself (norm.h says the formula). x, y, dy, dx:
// [B, T, n * D] of one dtype and the same strides, which may be those of a part
// of a packed qkv; weight [D], of the same dtype, is that of all n heads.
// `kind` is one of the RMS norms.

// Fills y; returns rstd, f32 [B * T * n].
absl::StatusOr<Tensor> HeadNormForward(double eps, const Tensor& x,
                                       const Tensor& weight, const Tensor& y,
                                       Stream& stream,
                                       NormKind kind = NormKind::kRms);

// Fills dx. dweight (f32 [D]) is overwritten, or added to when `accumulate`.
absl::Status HeadNormBackward(const Tensor& dy, const Tensor& x,
                              const Tensor& weight, const Tensor& rstd,
                              bool accumulate, const Tensor& dweight,
                              const Tensor& dx, Stream& stream,
                              NormKind kind = NormKind::kRms);

}  // namespace eisbach::ops
