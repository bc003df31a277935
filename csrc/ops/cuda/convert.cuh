#pragma once

#include <stdint.h>

#include <type_traits>

#include "ops/cuda/vector.cuh"

// Conversion of one element and pieces of any power of two of bytes up to 16.
namespace eisbach::cuda {

template <int kBytes>
struct WordOf;
template <>
struct WordOf<1> {
  using type = uint8_t;
};
template <>
struct WordOf<2> {
  using type = uint16_t;
};
template <>
struct WordOf<4> {
  using type = uint32_t;
};
template <>
struct WordOf<8> {
  using type = uint2;
};
template <>
struct WordOf<16> {
  using type = uint4;
};

// Between float types to nearest even, rounded once.
template <typename To, typename From>
__device__ __forceinline__ To ConvertElement(From x) {
  if constexpr (std::is_same_v<From, To>) {
    return x;
  } else if constexpr (std::is_integral_v<From>) {
    return static_cast<To>(x);
  } else if constexpr (std::is_same_v<To, double>) {
    return static_cast<double>(ToFloat(x));
  } else if constexpr (!std::is_same_v<From, double>) {
    return FromFloat<To>(ToFloat(x));
  } else if constexpr (std::is_same_v<To, BF16>) {
    return __double2bfloat16(x);
  } else if constexpr (std::is_same_v<To, F16>) {
    return __double2half(x);
  } else {
    return static_cast<float>(x);
  }
}

template <int N, typename T>
__device__ __forceinline__ typename WordOf<N * sizeof(T)>::type LoadWord(
    const T* p) {
  return AsWord<const typename WordOf<N * sizeof(T)>::type>(p);
}

// Converts the N elements of a word and stores them as one.
template <int N, typename From, typename To>
__device__ __forceinline__ void StoreConverted(
    const typename WordOf<N * sizeof(From)>::type& word, To* p) {
  From in[N];
  To out[N];
  memcpy(static_cast<void*>(in), &word, sizeof(word));
#pragma unroll
  for (int i = 0; i < N; ++i) out[i] = ConvertElement<To>(in[i]);
  typename WordOf<N * sizeof(To)>::type result;
  memcpy(&result, out, sizeof(result));
  AsWord<decltype(result)>(p) = result;
}

}  // namespace eisbach::cuda
