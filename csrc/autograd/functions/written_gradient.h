#pragma once

#include "absl/status/statusor.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// Where a kernel writes a parameter's gradient, which it computes in any case;
// one that nobody wants is a row, and forgotten.
inline absl::StatusOr<Tensor> WrittenGradient(const Parameter& parameter,
                                              Stream& stream) {
  if (parameter.trains()) return parameter.grad();
  return Tensor::Zeros(parameter.spec().shape, DType::kF32, stream);
}

}  // namespace eisbach::autograd
