#pragma once

#include <type_traits>

#include "ops/cuda/attention_kernels.h"
#include "ops/cuda/vector.cuh"

// What the attention kernels share. A block of 16 x 16 threads computes
// products of 64 x 64 numbers, of which a thread holds 4 x 4: rows
// 4 * (thread / 16) and on, columns 4 * (thread % 16) and on. Both factors lie
// in shared memory as tiles [term][row or column], so that a thread reads four
// neighbours at once. What is longer than a tile is walked in chunks of 64.
namespace eisbach::cuda::attention {

constexpr float kLog2E = 1.44269504f;
constexpr int kTile = 64;
constexpr int kTileThreads = 256;
constexpr int kTileStride = kTile + 4;  // keeps 16-byte alignment

// Blocks that a multiprocessor has registers for: left to itself, the compiler
// makes room for a second by spilling.
template <int kChunks, bool kLimited>
constexpr int kBlocks = kChunks == 1 && !kLimited ? 2 : 1;

struct alignas(16) Tile {
  float at[kTile][kTileStride];
};
struct Part {
  float v[4][4];
};

__device__ __forceinline__ int TileRow() { return threadIdx.x / 16 * 4; }
__device__ __forceinline__ int TileColumn() { return threadIdx.x % 16 * 4; }

__device__ __forceinline__ void Clear(Part& part) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int j = 0; j < 4; ++j) part.v[i][j] = 0.0f;
  }
}

// part += left^T right over `terms` rows of both. Loops are unrolled as far as
// registers go: the kernel with two sums has none to spare on Blackwell.
__device__ __forceinline__ void Multiply(const Tile& left, const Tile& right,
                                         int terms, Part& part) {
  const int row = TileRow(), column = TileColumn();
#pragma unroll 2
  for (int k = 0; k < terms; ++k) {
    const float4 a4 = AsWord<const float4>(&left.at[k][row]);
    const float4 b4 = AsWord<const float4>(&right.at[k][column]);
    const float a[4] = {a4.x, a4.y, a4.z, a4.w};
    const float b[4] = {b4.x, b4.y, b4.z, b4.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) part.v[i][j] += a[i] * b[j];
    }
  }
}

// A matrix in global memory: `rows` x `columns` of it are there, the rest of a
// tile counts as zeros.
template <typename T>
struct Matrix {
  const T* data;
  int stride;
  int rows;
  int columns;
  bool vectors;  // whole pieces of 16 bytes, aligned
};

// The piece of a row that begins at `column`.
template <typename T>
__device__ __forceinline__ Floats<T> LoadPiece(const Matrix<T>& m, int row,
                                               int column) {
  const T* p = m.data + row * static_cast<long long>(m.stride) + column;
  Floats<T> x;
  if (row >= m.rows || column >= m.columns) {
#pragma unroll
    for (int i = 0; i < kPerVector<T>; ++i) x.v[i] = 0.0f;
  } else if (m.vectors) {
    x = Load(p);
  } else {
#pragma unroll
    for (int i = 0; i < kPerVector<T>; ++i) {
      x.v[i] = column + i < m.columns ? ToFloat(p[i]) : 0.0f;
    }
  }
  return x;
}

// Rows [0, 64) of columns [begin, begin + 64), turned: tile[column][row]. Two
// lanes share a row, whose 32 bytes are one sector.
template <typename T>
__device__ __forceinline__ void LoadTurned(const Matrix<T>& m, int begin,
                                           Tile& tile) {
  constexpr int kWide = kPerVector<T>;
  const int count = min(m.columns - begin, kTile);
#pragma unroll 2
  for (int i = threadIdx.x; i < kTile * kTile / kWide; i += kTileThreads) {
    const int row = i / 2 % kTile;
    const int column = (i / (2 * kTile) * 2 + i % 2) * kWide;
    if (column >= count) break;
    const Floats<T> x = LoadPiece(m, row, begin + column);
#pragma unroll
    for (int j = 0; j < kWide; ++j) tile.at[column + j][row] = x.v[j];
  }
}

// The same as they lie: tile[row][column].
template <typename T>
__device__ __forceinline__ void LoadRows(const Matrix<T>& m, int begin,
                                         Tile& tile) {
  constexpr int kWide = kPerVector<T>;
  constexpr int kPieces = kTile / kWide;
#pragma unroll 1
  for (int i = threadIdx.x; i < kTile * kPieces; i += kTileThreads) {
    const int row = i / kPieces, column = i % kPieces * kWide;
    const Floats<T> x = LoadPiece(m, row, begin + column);
#pragma unroll
    for (int j = 0; j < kWide; j += 4) {
      AsWord<float4>(&tile.at[row][column + j]) =
          make_float4(x.v[j], x.v[j + 1], x.v[j + 2], x.v[j + 3]);
    }
  }
}

// part = 64 rows of x times 64 rows of y, turned: dot products over all
// columns. Both tiles are free before and after.
template <typename T>
__device__ __forceinline__ void DotRows(const Matrix<T>& x, const Matrix<T>& y,
                                        Tile& left, Tile& right, Part& part) {
  Clear(part);
  for (int begin = 0; begin < x.columns; begin += kTile) {
    LoadTurned(x, begin, left);
    LoadTurned(y, begin, right);
    __syncthreads();
    Multiply(left, right, min(x.columns - begin, kTile), part);
    __syncthreads();
  }
}

// A thread's part of a product becomes a left factor: tile[column][row], or,
// where its columns are the rows of the next product, tile[row][column].
__device__ __forceinline__ void WriteTurned(const Part& part, Tile& tile) {
#pragma unroll
  for (int j = 0; j < 4; ++j) {
    AsWord<float4>(&tile.at[TileColumn() + j][TileRow()]) =
        make_float4(part.v[0][j], part.v[1][j], part.v[2][j], part.v[3][j]);
  }
}
__device__ __forceinline__ void WriteRows(const Part& part, Tile& tile) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    AsWord<float4>(&tile.at[TileRow() + i][TileColumn()]) =
        make_float4(part.v[i][0], part.v[i][1], part.v[i][2], part.v[i][3]);
  }
}

// sums[c] += left^T times columns [begin + 64 c, begin + 64 c + 64) of m,
// for as many chunks as m has columns. `left` has been written by all threads,
// who may not have met yet; both tiles are free afterwards.
template <int kChunks, typename T>
__device__ __forceinline__ void Accumulate(const Tile& left, const Matrix<T>& m,
                                           int begin, Tile& right,
                                           Part (&sums)[kChunks]) {
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    if (begin + c * kTile < m.columns) {
      LoadRows(m, begin + c * kTile, right);
      __syncthreads();
      Multiply(left, right, kTile, sums[c]);
      __syncthreads();
    }
  }
}

// Four neighbours at once.
template <typename T>
__device__ __forceinline__ void StoreFour(T* p, const float (&x)[4],
                                          float factor) {
  using Word = std::conditional_t<sizeof(T) == 4, uint4, uint2>;
  T values[4];
#pragma unroll
  for (int j = 0; j < 4; ++j) values[j] = FromFloat<T>(x[j] * factor);
  Word word;
  memcpy(&word, values, sizeof(word));
  AsWord<Word>(p) = word;
}

// Writes a thread's rows of sums, times a factor for each, to 64 rows of which
// `rows` are there and to columns [begin, columns).
template <int kChunks, typename T>
__device__ __forceinline__ void StoreRows(const Part (&sums)[kChunks],
                                          const float (&factor)[4], T* out,
                                          int stride, int rows, int begin,
                                          int columns, bool vectors) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    T* row = out + (TileRow() + i) * static_cast<long long>(stride);
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
      const int column = begin + c * kTile + TileColumn();
      if (TileRow() + i >= rows || column >= columns) continue;
      if (vectors) {
        StoreFour(row + column, sums[c].v[i], factor[i]);
      } else {
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          if (column + j < columns) {
            row[column + j] = FromFloat<T>(sums[c].v[i][j] * factor[i]);
          }
        }
      }
    }
  }
}

// The part of the work that a block takes, from a grid of one dimension: a
// tile of 64 positions of a head of a sequence, and `columns` of its columns
// from `begin` on.
struct Task {
  long long tile;
  long long batch;
  int head;
  int begin;
};
__device__ __forceinline__ Task TaskOf(long long tiles, long long batch,
                                       int heads, int columns, bool reversed) {
  Task task;
  long long rest = blockIdx.x;
  task.head = static_cast<int>(rest % heads);
  rest /= heads;
  task.batch = rest % batch;
  rest /= batch;
  task.tile = reversed ? tiles - 1 - rest % tiles : rest % tiles;
  task.begin = static_cast<int>(rest / tiles) * columns;
  return task;
}

__host__ __device__ inline long long TilesOf(const AttentionSizes& s) {
  return (s.length + kTile - 1) / kTile;
}
// Rows of the tile at `first` that the sequence has.
__device__ __forceinline__ int RowsOf(const AttentionSizes& s,
                                      long long first) {
  return static_cast<int>(min(s.length - first, (long long)kTile));
}
__host__ __device__ inline int WidthOf(const AttentionSizes& s) {
  return (s.heads + 2 * s.kv_heads) * s.head_dim;
}

// The first key that a query sees, for a start of any value.
__device__ __forceinline__ int FirstKey(const AttentionSizes& s,
                                        long long batch, long long query) {
  const int t = static_cast<int>(query);
  int first = 0;
  if (s.starts != nullptr) {
    first = max(0, min(s.starts[batch * s.length + query], t));
  }
  return s.window > 0 ? max(first, t - s.window + 1) : first;
}

// The same of a thread's four rows of the query tile at `first`, counted from
// the key tile at `keys` on. Rows that are not there see what the last one
// does.
struct FirstColumns {
  int v[4];
};
template <bool kLimited>
__device__ __forceinline__ FirstColumns FirstColumnsOf(const AttentionSizes& s,
                                                       long long batch,
                                                       long long first,
                                                       long long keys) {
  FirstColumns columns = {};
  if constexpr (kLimited) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const long long query = min(first + TileRow() + i, s.length - 1);
      columns.v[i] = FirstKey(s, batch, query) - static_cast<int>(keys);
    }
  }
  return columns;
}

// A score in units of log2, and the slope of its cap.
struct Score {
  float log2;
  float slope;
};
template <bool kLimited>
__device__ __forceinline__ Score ScoreOf(const AttentionSizes& s,
                                         float product) {
  const float score = product * (s.scale * kLog2E);
  if (!kLimited || s.cap == 0.0f) return {score, 1.0f};
  const float cap = s.cap * kLog2E, bent = tanhf(score / cap);
  return {cap * bent, 1.0f - bent * bent};
}

// Calls f with whether kernels look at more than the scale, as a constant.
template <typename F>
cudaError_t DispatchLimited(const AttentionSizes& s, F&& f) {
  return s.limited() ? f(std::true_type{}) : f(std::false_type{});
}

// The grid of TaskOf.
template <int kChunks>
dim3 TaskGrid(const AttentionSizes& s, int heads) {
  const int slice = kChunks * kTile;
  const long long slices = (s.head_dim + slice - 1) / slice;
  return dim3(static_cast<unsigned>(TilesOf(s) * s.batch * heads * slices));
}

// Calls f with the number of chunks that a block sums at once, as a constant.
template <typename F>
cudaError_t DispatchChunks(int head_dim, F&& f) {
  if (head_dim <= kTile) return f(std::integral_constant<int, 1>{});
  if (head_dim <= 2 * kTile) return f(std::integral_constant<int, 2>{});
  return f(std::integral_constant<int, 4>{});
}

}  // namespace eisbach::cuda::attention
