#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// x, y [rows, width], contiguous; y may be x. They are the rows from first_row
// on of [samples * positions, width]. sample_index
// [samples] and step [1] lie in device memory. Dropped is what has its upper 24
// random bits below `threshold`; the rest is multiplied by `scale`. The bits
// are those of ops/dropout_bits.h, each row's of its place in `places`
// [samples, positions], or where that is null of its position. At most 2^31
// rows, those before first_row included.
struct DropoutShape {
  long long rows;
  long long first_row;
  long long positions;
  long long width;
  long long first_feature;
};
cudaError_t LaunchDropout(Type type, const void* x, void* y,
                          const DropoutShape& shape, uint64_t seed,
                          uint64_t layer, const int64_t* sample_index,
                          const int64_t* step, const int32_t* places,
                          uint32_t threshold, float scale, cudaStream_t stream);

}  // namespace eisbach::cuda
