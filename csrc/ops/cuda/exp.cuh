#pragma once

#include "device/cuda/portable.h"

namespace eisbach::cuda {

// e^x and 1 / x, exact enough for results that are stored as T: for f32 to a
// unit or two in the last place; for 16-bit types by the special function unit
// alone (relative error of e^x about |x| 2^-23), as a slower one would bound
// the kernel by arithmetic. NaN stays.
template <typename T>
__device__ __forceinline__ float ExpFor(float x) {
  return sizeof(T) == 4 ? expf(x) : __expf(x);
}
template <typename T>
__device__ __forceinline__ float ReciprocalFor(float x) {
  return sizeof(T) == 4 ? 1.0f / x : __fdividef(1.0f, x);
}

struct LogisticPair {
  float s;           // 1 / (1 + e^-z)
  float complement;  // 1 - s without cancellation
};
template <typename T>
__device__ __forceinline__ LogisticPair Logistic(float z) {
  const float e = ExpFor<T>(-fabsf(z));  // [0, 1]
  const float large = ReciprocalFor<T>(1.0f + e);
  const float small = e * large;
  return z >= 0.0f ? LogisticPair{large, small} : LogisticPair{small, large};
}

}  // namespace eisbach::cuda
