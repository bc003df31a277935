#pragma once

#include "ops/cuda/vector.cuh"

// Pieces of N elements in f32, where N is kPerVector<T> or, for rows whose
// width or address forbids those, 1: one kernel source serves both.
namespace eisbach::cuda {

template <int N, typename T>
__device__ __forceinline__ Values<N> LoadPiece(const T* p) {
  static_assert(N == 1 || N == kPerVector<T>);
  if constexpr (N == 1) {
    return {{ToFloat(*p)}};
  } else {
    return Load(p);
  }
}

template <int N, typename T>
__device__ __forceinline__ void StorePiece(T* p, const Values<N>& piece) {
  static_assert(N == 1 || N == kPerVector<T>);
  if constexpr (N == 1) {
    *p = FromFloat<T>(piece.v[0]);
  } else {
    Store(p, piece);
  }
}

template <int N>
struct Wide {
  static constexpr int value = N;
};

// Calls f(Wide<kPerVector<T>>{}) or f(Wide<1>{}).
template <typename T, typename F>
cudaError_t DispatchWidth(bool vectors, F&& f) {
  if (vectors) return f(Wide<kPerVector<T>>{});
  return f(Wide<1>{});
}

// Calls f(first row, rows) for parts of so many rows that pieces of them are
// counted in 32 bits, in which division is cheap.
template <typename F>
cudaError_t ForRowParts(long long rows, long long pieces_a_row, F&& f) {
  const long long most =
      (1ll << 31) / (pieces_a_row < 1 ? 1 : pieces_a_row) + 1;
  for (long long first = 0; first < rows; first += most) {
    const cudaError_t error =
        f(first, rows - first < most ? rows - first : most);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace eisbach::cuda
