#pragma once

#include "absl/status/statusor.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// x bounded by `cap`, see ops/softcap.h; x itself where cap is 0. Overwrites x:
// nothing else may need the unbounded values.
absl::StatusOr<Tensor> Softcap(const Tensor& x, double cap, Stream& stream);

}  // namespace eisbach::autograd
