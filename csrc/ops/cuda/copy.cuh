#pragma once

#include "ops/cuda/convert.cuh"
#include "ops/cuda/copy_kernels.h"

// Three kernels: pieces of rows that are contiguous in both tensors, tiles of
// transpositions, and single elements of whatever is left.
namespace eisbach::cuda {

inline constexpr int kCopyBlock = 256;
inline constexpr int kCopyUnroll = 4;  // pieces a thread

// Planes with 32-bit sizes, and strides in elements.
struct Planes {
  int count;
  unsigned size[kMaxCopyAxes];
  long long from[kMaxCopyAxes];
  long long to[kMaxCopyAxes];

  __device__ __forceinline__ void Offsets(unsigned index, long long& from_at,
                                          long long& to_at) const {
#pragma unroll
    for (int d = kMaxCopyAxes - 1; d >= 0; --d) {
      if (d >= count) continue;
      const unsigned i = index % size[d];
      index /= size[d];
      from_at += i * from[d];
      to_at += i * to[d];
    }
  }
};

// N elements a piece: the wider side moves 16 bytes at once.
template <typename From, typename To>
constexpr int kPiece = 16 /
                       (sizeof(From) > sizeof(To) ? sizeof(From) : sizeof(To));

template <typename From, typename To>
__global__ void __launch_bounds__(kCopyBlock)
    CopyRows(const From* from, To* to, unsigned pieces_a_row, unsigned pieces,
             Planes planes) {
  constexpr int N = kPiece<From, To>;
  typename WordOf<N * sizeof(From)>::type words[kCopyUnroll];
  long long to_at[kCopyUnroll];
  const unsigned first =
      blockIdx.x * (unsigned)(kCopyBlock * kCopyUnroll) + threadIdx.x;
#pragma unroll
  for (int j = 0; j < kCopyUnroll; ++j) {
    const unsigned i = first + j * kCopyBlock;
    const unsigned plane = planes.count == 0 ? 0 : i / pieces_a_row;
    long long from_at = (long long)(i - plane * pieces_a_row) * N;
    to_at[j] = from_at;
    planes.Offsets(plane, from_at, to_at[j]);
    if (i < pieces) words[j] = LoadWord<N>(from + from_at);
  }
#pragma unroll
  for (int j = 0; j < kCopyUnroll; ++j) {
    if (first + j * kCopyBlock < pieces) {
      StoreConverted<N, From>(words[j], to + to_at[j]);
    }
  }
}

// Consecutive threads write along `row`, the first of the planes' indices.
template <typename From, typename To>
__global__ void __launch_bounds__(kCopyBlock)
    CopyElements(const From* from, To* to, CopyAxis row, unsigned elements,
                 Planes planes) {
  const unsigned i = blockIdx.x * (unsigned)kCopyBlock + threadIdx.x;
  if (i >= elements) return;
  const unsigned width = static_cast<unsigned>(row.size);
  const unsigned plane = i / width, at = i % width;
  long long from_at = at * row.from_stride, to_at = at * row.to_stride;
  planes.Offsets(plane, from_at, to_at);
  to[to_at] = ConvertElement<To>(from[from_at]);
}

// A side of a tile: whole sectors of 32 bytes at least.
template <typename From, typename To>
constexpr int kTile = sizeof(From) <= 2 && sizeof(To) <= 2 ? 64 : 32;
// What keeps threads that read a tile's column on different banks.
template <typename From>
constexpr int kPad = sizeof(From) < 4 ? 4 / static_cast<int>(sizeof(From)) : 1;

// Reads along `column`, where `from` is fastest, and writes along `row`.
template <typename From, typename To>
__global__ void __launch_bounds__(kCopyBlock)
    CopyTiles(const From* from, To* to, CopyAxis row, CopyAxis column,
              unsigned across, unsigned down, Planes planes) {
  constexpr int kSide = kTile<From, To>;
  constexpr int kRows = kCopyBlock / kSide;
  EISBACH_SHARED(From, tile, [kSide][kSide + kPad<From>]);
  const unsigned x = threadIdx.x % kSide, y = threadIdx.x / kSide;
  const long long row_at = (long long)(blockIdx.x % across) * kSide;
  const long long column_at = (long long)(blockIdx.x / across % down) * kSide;
  long long from_at = 0, to_at = 0;
  planes.Offsets(blockIdx.x / across / down, from_at, to_at);
#pragma unroll
  for (int j = 0; j < kSide; j += kRows) {
    const long long r = row_at + y + j, c = column_at + x;
    if (r < row.size && c < column.size) {
      tile[y + j][x] =
          from[from_at + r * row.from_stride + c * column.from_stride];
    }
  }
  __syncthreads();
#pragma unroll
  for (int j = 0; j < kSide; j += kRows) {
    const long long r = row_at + x, c = column_at + y + j;
    if (r < row.size && c < column.size) {
      to[to_at + r * row.to_stride + c * column.to_stride] =
          ConvertElement<To>(tile[x][y + j]);
    }
  }
}

}  // namespace eisbach::cuda
