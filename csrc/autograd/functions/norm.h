#pragma once

#include "absl/status/statusor.h"
#include "ops/norm.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

struct NormResult {
  Tensor sum;  // x + residual: the residual stream
  Tensor y;    // the norm of it
};

// See ops/norm.h. `residual` may be undefined; `bias` is null for RMS norm.
absl::StatusOr<NormResult> Norm(ops::NormKind kind, double eps, const Tensor& x,
                                const Tensor& residual, Parameter& weight,
                                Parameter* bias, Stream& stream);

}  // namespace eisbach::autograd
