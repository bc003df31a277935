#pragma once

#include "absl/status/statusor.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// See ops/activation.h.
absl::StatusOr<Tensor> Gelu(const Tensor& x, Stream& stream);
absl::StatusOr<Tensor> Swiglu(const Tensor& gate_up, Stream& stream);
absl::StatusOr<Tensor> Geglu(const Tensor& gate_up, Stream& stream);

}  // namespace eisbach::autograd
