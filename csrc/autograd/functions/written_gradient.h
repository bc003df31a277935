#pragma once

#include "absl/status/statusor.h"
#include "core/status_macros.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// Where a kernel writes a parameter's gradient, which it computes in any case;
// one that nobody wants is a row, and forgotten.
inline absl::StatusOr<Tensor> WrittenGradient(Parameter& parameter,
                                              Stream& stream) {
  if (!parameter.trains()) {
    return Tensor::Zeros(parameter.spec().shape, DType::kF32, stream);
  }
  EISBACH_RETURN_IF_ERROR(parameter.BeforeGradient());
  return parameter.grad();
}

// Whether a kernel adds to the gradients that WrittenGradient gave for these,
// the second of which may be null, or overwrites both. Where one alone holds
// something the other becomes zero.
inline absl::StatusOr<bool> AddsToGradients(Parameter& first, Parameter* second,
                                            Stream& stream) {
  if (second == nullptr || !second->trains()) return first.accumulate();
  if (!first.trains()) return second->accumulate();
  if (first.accumulate() == second->accumulate()) return first.accumulate();
  const Tensor& empty = (first.accumulate() ? *second : first).grad();
  EISBACH_RETURN_IF_ERROR(
      stream.device().SetZero(empty.raw(), empty.bytes(), stream));
  return true;
}

}  // namespace eisbach::autograd
