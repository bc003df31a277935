#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

using RecomputedFunction = std::function<absl::StatusOr<std::vector<Tensor>>(
    absl::Span<const Tensor>)>;

// Calls `function` without recording it and keeps its inputs alone; backward
// calls it again, recording, and goes through that. Both calls do the same
// arithmetic, so results equal the plain ones bitwise. Chen et al.,
// "Training deep nets with sublinear memory cost", arXiv:1604.06174.
//
// `function` must give the same values each time and not write to its inputs.
// Inputs and outputs may hold undefined tensors.
//
// `trains`: whether it has parameters that are trained. Where it has none and
// nobody wants the gradient of an input, nothing is recorded.
absl::StatusOr<std::vector<Tensor>> Recompute(
    const RecomputedFunction& function, absl::Span<const Tensor> inputs,
    bool trains);

}  // namespace eisbach::autograd
