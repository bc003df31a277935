#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// Sizes of ops/attention.h's operands, and its options.
struct AttentionSizes {
  long long batch, length;
  int heads, kv_heads, head_dim, group, query_offset;
  float scale;
  const int* starts = nullptr;  // [batch, length], or null
  int window = 0;               // 0: none
  float cap = 0.0f;             // 0: none

  // Whether kernels look at more than the scale.
  bool limited() const { return starts != nullptr || window > 0 || cap > 0; }
};

// out and lse of causal attention over packed qkv, for any head_dim. Scores
// are computed in f32 tile by tile and never leave the multiprocessor; tiles
// that no query sees are not computed.
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
