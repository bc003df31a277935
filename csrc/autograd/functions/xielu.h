#pragma once

#include "absl/status/statusor.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// See ops/xielu.h; alpha_p and alpha_n are [1].
absl::StatusOr<Tensor> Xielu(const Tensor& x, Parameter& alpha_p,
                             Parameter& alpha_n, Stream& stream);

}  // namespace eisbach::autograd
