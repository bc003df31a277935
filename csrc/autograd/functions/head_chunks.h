#pragma once

#include <algorithm>
#include <cstdint>

#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// How many bytes of logits are there at once. Each chunk of rows costs a pass
// over the weight's f32 gradient, 8 bytes a number, beside 6 operations for
// each of its rows. A CPU does some ten operations a byte that it moves, so
// that 100 rows hide the pass, and has what is small near its cores; a GPU does
// 300, and it takes 4,000 rows for the pass to be a tenth of their products:
// 1 GiB in bf16 with a vocabulary of 128 thousand.
inline int64_t LogitsBytes(DeviceType device) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  return device == DeviceType::kCuda ? 1024 * kMiB : 32 * kMiB;
}

// How many of `rows` rows of logits, x · weight^T in the type of x, are there
// at once where they may take `logits_bytes` (0: what suits the device): at
// least one, and chunks of equal size.
inline int64_t HeadChunk(int64_t rows, const Parameter& weight, const Tensor& x,
                         int64_t logits_bytes) {
  if (logits_bytes == 0) logits_bytes = LogitsBytes(x.device().stands_for());
  const int64_t row_bytes =
      weight.spec().shape[0] * static_cast<int64_t>(SizeOf(x.dtype()));
  const int64_t most = std::max<int64_t>(1, logits_bytes / (row_bytes + 1));
  const int64_t chunks = (rows + most - 1) / most;
  return chunks == 0 ? 0 : (rows + chunks - 1) / chunks;
}

}  // namespace eisbach::autograd
