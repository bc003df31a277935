#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/attention_kernels.h"
#include "ops/cuda/type.h"

namespace eisbach::cuda {

// Sizes of ops/attention_part.h's operands, and its options.
struct AttentionPartSizes {
  // `length` counts the queries of the span, whose starts are those of the
  // whole tensor, [batch, query_rows].
  AttentionSizes common;
  long long query_rows, query_row, query_position;
  long long key_rows, key_row, key_count, key_position;
};

// A row of threads has at most this many columns of a head: with more, several
// blocks would merge the same lse.
inline constexpr int kMostPartHeadDim = 256;

// Writes, or merges with what is there, the spans' rows of out and lse.
cudaError_t LaunchAttentionPart(Type type, const AttentionPartSizes& sizes,
                                bool merges, const void* qkv,
                                const void* keys_values, float* out, float* lse,
                                cudaStream_t stream);

// Adds to dqueries and dkeys_values; delta as LaunchAttentionDelta makes it,
// [batch, heads, query_rows]. Each block owns its part of both.
cudaError_t LaunchAttentionPartBackward(Type type,
                                        const AttentionPartSizes& sizes,
                                        const void* dout, const void* qkv,
                                        const void* keys_values,
                                        const float* lse, const float* delta,
                                        float* dqueries, float* dkeys_values,
                                        cudaStream_t stream);

}  // namespace eisbach::cuda
