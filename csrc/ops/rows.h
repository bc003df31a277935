#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace eisbach::ops {

// Where the rows of a tensor lie. Its last dimension holds `inner` rows of
// `width` side by side: one, or the heads of a packed projection, whose
// neighbours belong to somebody else.
struct Rows {
  int64_t count;
  int64_t width;
  int64_t inner;
  int64_t stride;  // elements from one last dimension to the next

  // The first element of row r.
  int64_t At(int64_t r) const {
    if (inner == 1) return r * stride;
    return r / inner * stride + r % inner * width;
  }
};

// Of a tensor of one dimension or more whose last one is a multiple of `width`
// and contiguous, and whose others are as one (OpCheck::EvenRows).
Rows RowsOf(const Tensor& t, int64_t width);

}  // namespace eisbach::ops
