#pragma once

#include <stdint.h>

#include "device/cuda/portable.h"

// Pieces of 16 bytes of f32, bf16 or f16, which a thread loads and stores at
// once and computes with in f32.
//
//   const Floats<T> x = Load(a + i);      // i a multiple of kPerVector<T>
//   Store(c + i, Floats<T>{...});
namespace eisbach::cuda {

using BF16 = __nv_bfloat16;
using F16 = __half;

template <typename T>
constexpr int kPerVector = 16 / static_cast<int>(sizeof(T));

template <int N>
struct Values {
  float v[N];
};
template <typename T>
using Floats = Values<kPerVector<T>>;

__device__ __forceinline__ float ToFloat(float x) { return x; }
__device__ __forceinline__ float ToFloat(BF16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float ToFloat(F16 x) { return __half2float(x); }

// To nearest even.
template <typename T>
__device__ __forceinline__ T FromFloat(float x);
template <>
__device__ __forceinline__ float FromFloat<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ BF16 FromFloat<BF16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ __forceinline__ F16 FromFloat<F16>(float x) {
  return __float2half_rn(x);
}

// The value as the tensor will hold it.
template <typename T>
__device__ __forceinline__ float Rounded(float x) {
  return ToFloat(FromFloat<T>(x));
}

// A word of 16 bytes and not a struct of halves, which nvcc moves in four
// pieces.
template <typename T>
__device__ __forceinline__ Floats<T> Load(const T* p) {
  const uint4 word = AsWord<const uint4>(p);
  T values[kPerVector<T>];
  memcpy(static_cast<void*>(values), &word, sizeof(word));
  Floats<T> result;
#pragma unroll
  for (int i = 0; i < kPerVector<T>; ++i) result.v[i] = ToFloat(values[i]);
  return result;
}

template <typename T>
__device__ __forceinline__ void Store(T* p, const Floats<T>& x) {
  T values[kPerVector<T>];
#pragma unroll
  for (int i = 0; i < kPerVector<T>; ++i) values[i] = FromFloat<T>(x.v[i]);
  uint4 word;
  memcpy(&word, values, sizeof(word));
  AsWord<uint4>(p) = word;
}

// Whether rows of `width` elements from `p` on can be moved in such pieces.
template <typename T>
inline bool Vectorised(const T* p, long long width) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0 && width % kPerVector<T> == 0;
}

}  // namespace eisbach::cuda
