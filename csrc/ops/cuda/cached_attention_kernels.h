#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// Sizes and scores of ops/cached_attention.h's operands.
struct CachedAttentionSizes {
  long long tokens, slots, capacity;
  int heads, kv_heads, head_dim, group, query_offset;
  long long window;
  float scale, cap;
};

// Copies the keys and values of qkv [tokens, width] to their places in keys
// and values, [slots, kv_heads, capacity, head_dim] each.
cudaError_t LaunchCacheAppend(Type type, const CachedAttentionSizes& sizes,
                              const void* qkv, const int32_t* slots,
                              const int32_t* positions, void* keys,
                              void* values, cudaStream_t stream);

// out [tokens, heads * head_dim]: a block a token and query head, which reads
// the keys and values that the token sees once.
cudaError_t LaunchCachedAttention(Type type, const CachedAttentionSizes& sizes,
                                  const void* qkv, const int32_t* slots,
                                  const int32_t* positions, const void* keys,
                                  const void* values, void* out,
                                  cudaStream_t stream);

}  // namespace eisbach::cuda
