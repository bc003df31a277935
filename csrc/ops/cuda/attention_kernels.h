#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// Sizes of ops/attention.h's operands.
struct AttentionSizes {
  long long batch, length;
  int heads, kv_heads, head_dim, group, query_offset;
};

// out and lse of causal attention over packed qkv, for any head_dim. Scores
// are computed in f32 tile by tile and never leave the multiprocessor.
cudaError_t LaunchAttentionForward(Type type, const AttentionSizes& sizes,
                                   const void* qkv, void* out, float* lse,
                                   cudaStream_t stream);

// delta[b, h, t] = sum over the head of dout * out, f32 [B, heads, T]: what
// backward subtracts from the gradient of each weight.
cudaError_t LaunchAttentionDelta(Type type, const AttentionSizes& sizes,
                                 const void* dout, const void* out,
                                 float* delta, cudaStream_t stream);

// Writes all of dqkv. Each block owns its part of it: the gradients of keys
// and values are summed over the query heads that read them in order.
cudaError_t LaunchAttentionBackward(Type type, const AttentionSizes& sizes,
                                    const void* dout, const void* qkv,
                                    const float* lse, const float* delta,
                                    void* dqkv, cudaStream_t stream);

}  // namespace eisbach::cuda
