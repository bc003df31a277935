#pragma once

#include "absl/status/statusor.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// y [..., N] = x [..., K] · weight^T + bias, weight [N, K], bias [N] or null.
// `use_bias` false leaves the bias out of y and still computes its gradient,
// the sum of dy over rows: in a row-parallel layer one rank adds the bias and
// all of them hold it.
absl::StatusOr<Tensor> Linear(const Tensor& x, Parameter& weight,
                              Parameter* bias, bool use_bias, Stream& stream);

}  // namespace eisbach::autograd
