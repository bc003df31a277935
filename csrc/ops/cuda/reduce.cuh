#pragma once

#include "device/cuda/portable.h"

// Sums and maxima over a warp and a block, in an order that depends on the
// block's size alone.
namespace eisbach::cuda {

struct SumOf {
  static constexpr float kIdentity = 0.0f;
  template <typename T>
  __device__ __forceinline__ static T Apply(T a, T b) {
    return a + b;
  }
};
struct MaxOf {
  static constexpr float kIdentity = -INFINITY;
  template <typename T>
  __device__ __forceinline__ static T Apply(T a, T b) {
    // NaN stays.
    return a > b || a != a ? a : b;
  }
};

// The result in every lane of a full warp.
template <typename Op, typename T>
__device__ __forceinline__ T WarpReduce(T v) {
#pragma unroll
  for (int offset = 16; offset > 0; offset >>= 1) {
    v = Op::Apply(v, __shfl_xor_sync(0xffffffffu, v, offset));
  }
  return v;
}

// The result in every thread; blockDim.x is a multiple of 32.
template <typename Op, typename T>
__device__ __forceinline__ T BlockReduce(T v) {
  EISBACH_SHARED(T, partial, [32]);
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  v = WarpReduce<Op>(v);
  __syncthreads();  // those who read an earlier call's partial are done
  if (lane == 0) partial[warp] = v;
  __syncthreads();
  v = lane < blockDim.x / 32 ? partial[lane] : static_cast<T>(Op::kIdentity);
  return WarpReduce<Op>(v);
}

}  // namespace eisbach::cuda
