#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

using RecomputedFunction = std::function<absl::StatusOr<std::vector<Tensor>>(
    absl::Span<const Tensor>)>;

// Calls `function` without recording it and keeps its inputs alone (as Saved
// does); backward calls it again, recording, and goes through that. Both calls
// do the same arithmetic, so results equal the plain ones bitwise. Chen et al.,
// "Training deep nets with sublinear memory cost", arXiv:1604.06174.
//
// `function` must give the same values each time and not write to its inputs.
// Inputs and outputs may hold undefined tensors.
//
// `trains`: whether it has parameters that are trained. Where it has none and
// nobody wants the gradient of an input, nothing is recorded.
//
// `outputs`: kRemade where what comes after keeps none that it needs in its
// backward, but has it from the second call (autograd/saved.h), which is made
// then. That is for a part of a layer whose last projection follows.
enum class RecomputedOutputs : uint8_t { kKept, kRemade };
absl::StatusOr<std::vector<Tensor>> Recompute(
    const RecomputedFunction& function, absl::Span<const Tensor> inputs,
    bool trains, RecomputedOutputs outputs = RecomputedOutputs::kKept);

// The same of a function of one tensor, before the last projection of a layer.
template <typename Function>
absl::StatusOr<Tensor> RecomputeOne(const Function& function, const Tensor& x,
                                    bool trains) {
  absl::StatusOr<std::vector<Tensor>> outputs = Recompute(
      [function](
          absl::Span<const Tensor> in) -> absl::StatusOr<std::vector<Tensor>> {
        absl::StatusOr<Tensor> y = function(in[0]);
        if (!y.ok()) return y.status();
        return std::vector<Tensor>{*std::move(y)};
      },
      {x}, trains, RecomputedOutputs::kRemade);
  if (!outputs.ok()) return outputs.status();
  return std::move(outputs->front());
}

}  // namespace eisbach::autograd
