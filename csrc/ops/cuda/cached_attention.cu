#include "ops/cuda/cached_attention_kernels.h"
#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/reduce.cuh"

namespace eisbach::cuda {
namespace {

constexpr int kBlock = 128;
constexpr int kWarps = kBlock / 32;
constexpr int kKeys = 128;  // whose scores a block has at once

__device__ __forceinline__ int WidthOf(const CachedAttentionSizes& s) {
  return (s.heads + 2 * s.kv_heads) * s.head_dim;
}

// The row of a place in keys and values, -1 outside them.
__device__ __forceinline__ long long RowAt(const CachedAttentionSizes& s,
                                           int slot, int position, int kv) {
  if (slot < 0 || slot >= s.slots || position < 0 || position >= s.capacity) {
    return -1;
  }
  return ((long long)slot * s.kv_heads + kv) * s.capacity + position;
}

// A block a token, a warp a head at a time: keys, then values.
template <typename T>
__global__ void __launch_bounds__(kBlock)
    CacheAppendKernel(CachedAttentionSizes s, const T* qkv,
                      const int32_t* slots, const int32_t* positions, T* keys,
                      T* values) {
  const long long n = blockIdx.x;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int head = warp; head < 2 * s.kv_heads; head += kWarps) {
    const int kv = head % s.kv_heads;
    const long long row = RowAt(s, slots[n], positions[n], kv);
    if (row < 0) continue;
    const T* from = qkv + n * WidthOf(s) + (s.heads + head) * s.head_dim;
    T* to = (head < s.kv_heads ? keys : values) + row * s.head_dim;
    for (int i = lane; i < s.head_dim; i += 32) to[i] = from[i];
  }
}

// Dynamic shared memory: the scaled query, then the weighted sum of values,
// f32 [head_dim] each.
template <typename T>
__global__ void __launch_bounds__(kBlock)
    CachedAttentionKernel(CachedAttentionSizes s, const T* qkv,
                          const int32_t* slots, const int32_t* positions,
                          const T* keys, const T* values, T* out) {
  EISBACH_DYNAMIC_SHARED(float, query);
  EISBACH_SHARED(float, scores, [kKeys]);
  const long long n = blockIdx.x / s.heads;
  const int head = static_cast<int>(blockIdx.x % s.heads), dim = s.head_dim;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int kv = (head + s.query_offset) / s.group;
  const long long end = (long long)positions[n] + 1;
  const long long last = RowAt(s, slots[n], positions[n], kv);
  // All threads of the block see the same place.
  if (last < 0) return;
  float* sums = query + dim;
  for (int i = threadIdx.x; i < dim; i += kBlock) {
    query[i] = s.scale * ToFloat(qkv[n * WidthOf(s) + head * dim + i]);
    sums[i] = 0.0f;
  }
  __syncthreads();
  const long long first = last + 1 - end;  // the row of position 0
  float largest = -INFINITY, total = 0.0f;
  long long begin = s.window > 0 && end > s.window ? end - s.window : 0;
  for (; begin < end; begin += kKeys) {
    const int count =
        static_cast<int>(end - begin < kKeys ? end - begin : kKeys);
    const T* k = keys + (first + begin) * dim;
    const T* v = values + (first + begin) * dim;
    for (int j = warp; j < count; j += kWarps) {
      float sum = 0.0f;
      for (int i = lane; i < dim; i += 32) {
        sum += query[i] * ToFloat(k[(long long)j * dim + i]);
      }
      sum = WarpReduce<SumOf>(sum);
      if (s.cap > 0.0f) sum = s.cap * tanhf(sum / s.cap);
      if (lane == 0) scores[j] = sum;
    }
    __syncthreads();
    const bool mine = static_cast<int>(threadIdx.x) < count;
    const float score = mine ? scores[threadIdx.x] : -INFINITY;
    const float top = BlockReduce<MaxOf>(MaxOf::Apply(largest, score));
    const float weight = mine ? expf(score - top) : 0.0f;
    const float factor = expf(largest - top);
    if (mine) scores[threadIdx.x] = weight;
    largest = top;
    total = total * factor + BlockReduce<SumOf>(weight);
    __syncthreads();
    for (int i = threadIdx.x; i < dim; i += kBlock) {
      float sum = sums[i] * factor;
      for (int j = 0; j < count; ++j) {
        sum += scores[j] * ToFloat(v[(long long)j * dim + i]);
      }
      sums[i] = sum;
    }
    __syncthreads();  // before the scores are overwritten
  }
  T* to = out + (n * s.heads + head) * dim;
  for (int i = threadIdx.x; i < dim; i += kBlock) {
    to[i] = FromFloat<T>(sums[i] / total);
  }
}

}  // namespace

cudaError_t LaunchCacheAppend(Type type, const CachedAttentionSizes& s,
                              const void* qkv, const int32_t* slots,
                              const int32_t* positions, void* keys,
                              void* values, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    return Launch({dim3(static_cast<unsigned>(s.tokens)), dim3(kBlock), stream},
                  CacheAppendKernel<T>, s, static_cast<const T*>(qkv), slots,
                  positions, static_cast<T*>(keys), static_cast<T*>(values));
  });
}

cudaError_t LaunchCachedAttention(Type type, const CachedAttentionSizes& s,
                                  const void* qkv, const int32_t* slots,
                                  const int32_t* positions, const void* keys,
                                  const void* values, void* out,
                                  cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    return Launch(
        {dim3(static_cast<unsigned>(s.tokens * s.heads)), dim3(kBlock), stream,
         static_cast<unsigned>(2 * s.head_dim * sizeof(float))},
        CachedAttentionKernel<T>, s, static_cast<const T*>(qkv), slots,
        positions, static_cast<const T*>(keys), static_cast<const T*>(values),
        static_cast<T*>(out));
  });
}

}  // namespace eisbach::cuda
