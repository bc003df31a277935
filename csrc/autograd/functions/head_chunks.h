#pragma once

#include <algorithm>
#include <cstdint>

#include "tensor/parameter.h"

namespace eisbach::autograd {

// How many of `rows` rows of logits, x · weight^T of `dtype`, are there at once
// where they may take `logits_bytes`: at least one, and chunks of equal size.
inline int64_t HeadChunk(int64_t rows, const Parameter& weight, DType dtype,
                         int64_t logits_bytes) {
  const int64_t row_bytes =
      weight.spec().shape[0] * static_cast<int64_t>(SizeOf(dtype));
  const int64_t most = std::max<int64_t>(1, logits_bytes / (row_bytes + 1));
  const int64_t chunks = (rows + most - 1) / most;
  return chunks == 0 ? 0 : (rows + chunks - 1) / chunks;
}

}  // namespace eisbach::autograd
