#pragma once

#include "absl/status/statusor.h"
#include "ops/dropout.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// a + b, of one shape and dtype.
absl::StatusOr<Tensor> Add(const Tensor& a, const Tensor& b, Stream& stream);

// Multiplies x in place and returns it. Nothing else may need the values
// before.
absl::StatusOr<Tensor> Scale(const Tensor& x, float factor, Stream& stream);

// See ops/dropout.h; p = 0 returns x.
absl::StatusOr<Tensor> Dropout(const Tensor& x, double p,
                               const ops::DropoutSource& source,
                               Stream& stream);

// softmax over the last dimension.
absl::StatusOr<Tensor> Softmax(const Tensor& x, Stream& stream);

// The same elements under another shape; x is contiguous.
absl::StatusOr<Tensor> View(const Tensor& x, const Shape& shape);

}  // namespace eisbach::autograd
