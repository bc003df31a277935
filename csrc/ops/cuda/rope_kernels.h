#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// Rotates in place the first 2 `pairs` elements of each of the first
// `rotated_heads` heads of head_dim elements in each row of qkv [rows, width].
// Row r stands at position r % positions of table, f32
// [>= positions, pairs, 2]: cos and sin. Where there are starts
// [rows], that of a row is subtracted from its position.
cudaError_t LaunchRope(Type type, void* qkv, const float* table,
                       const int* starts, long long rows, long long width,
                       long long positions, int rotated_heads, int head_dim,
                       int pairs, bool inverse, cudaStream_t stream);

}  // namespace eisbach::cuda
