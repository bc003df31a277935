#pragma once

#include "ops/cuda/attention_part_kernels.h"
#include "ops/cuda/attention_tile.cuh"

// What the kernels of attention in parts share.
namespace eisbach::cuda::attention {

__host__ __device__ inline int KeyWidthOf(const AttentionPartSizes& p) {
  return 2 * p.common.kv_heads * p.common.head_dim;
}
__host__ __device__ inline long long KeyTilesOf(const AttentionPartSizes& p) {
  return (p.key_count + kTile - 1) / kTile;
}
__device__ __forceinline__ int KeysOf(const AttentionPartSizes& p,
                                      long long first) {
  return static_cast<int>(min(p.key_count - first, (long long)kTile));
}

// The keys [first, end) that a query of the span sees, counted in theirs.
__device__ __forceinline__ long long EndKey(const AttentionPartSizes& p,
                                            long long query) {
  const long long end = p.query_position + query + 1 - p.key_position;
  return min(max(end, 0LL), p.key_count);
}
__device__ __forceinline__ long long FirstPartKey(const AttentionPartSizes& p,
                                                  long long batch,
                                                  long long query) {
  const long long position = p.query_position + query;
  long long first = 0;
  if (p.common.starts != nullptr) {
    const int start =
        p.common.starts[batch * p.query_rows + p.query_row + query];
    first = max(0LL, min((long long)start, position));
  }
  if (p.common.window > 0) first = max(first, position - p.common.window + 1);
  return min(max(first - p.key_position, 0LL), p.key_count);
}

// The key tiles of which a query of the tile at `first` sees any.
struct KeyTiles {
  long long begin, end;
};
__device__ __forceinline__ KeyTiles KeyTilesFor(const AttentionPartSizes& p,
                                                long long batch,
                                                long long first) {
  const long long last = first + RowsOf(p.common, first) - 1;
  return {FirstPartKey(p, batch, first) / kTile,
          (EndKey(p, last) + kTile - 1) / kTile};
}

// Of a thread's four rows of the query tile at `first`, which columns of the
// key tile at `keys` they see. Rows that are not there see none.
struct SeenColumns {
  __device__ __forceinline__ bool hides(int i, int column) const {
    return column < first[i] || column >= end[i];
  }

  int first[4], end[4];
};
__device__ __forceinline__ SeenColumns
SeenColumnsOf(const AttentionPartSizes& p, long long batch, long long first,
              long long keys) {
  SeenColumns seen;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const long long query = first + TileRow() + i;
    const bool there = query < p.common.length;
    const long long begin = there ? FirstPartKey(p, batch, query) : 0;
    const long long end = there ? EndKey(p, query) : 0;
    seen.first[i] = static_cast<int>(min(max(begin - keys, 0LL), 64LL));
    seen.end[i] = static_cast<int>(min(max(end - keys, 0LL), 64LL));
  }
  return seen;
}

// The rows of a span's queries, from `first` on, of one head.
template <typename T>
__device__ __forceinline__ Matrix<T> QueryMatrix(const AttentionPartSizes& p,
                                                 bool vectors, const T* data,
                                                 int stride, long long batch,
                                                 int head, long long first) {
  const long long row = batch * p.query_rows + p.query_row + first;
  return {data + row * stride + head * p.common.head_dim, stride,
          RowsOf(p.common, first), p.common.head_dim, vectors};
}
// The rows of its keys, or with `values` those.
template <typename T>
__device__ __forceinline__ Matrix<T> KeyMatrix(const AttentionPartSizes& p,
                                               bool vectors, const T* data,
                                               long long batch, int kv,
                                               bool values, long long first) {
  const int head = kv + (values ? p.common.kv_heads : 0);
  const long long row = batch * p.key_rows + p.key_row + first;
  return {data + row * KeyWidthOf(p) + head * p.common.head_dim, KeyWidthOf(p),
          KeysOf(p, first), p.common.head_dim, vectors};
}

// Calls f(at, sum) for a thread's numbers of 64 rows, of which `rows` are
// there; `at` is a place in a matrix whose rows are `stride` apart.
template <int kChunks, typename F>
__device__ __forceinline__ void ForEachNumber(const Part (&sums)[kChunks],
                                              int stride, int rows, int begin,
                                              int columns, F&& f) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (TileRow() + i >= rows) continue;
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const int column = begin + c * kTile + TileColumn() + j;
        if (column >= columns) continue;
        f((TileRow() + i) * static_cast<long long>(stride) + column, i,
          sums[c].v[i][j]);
      }
    }
  }
}

}  // namespace eisbach::cuda::attention
