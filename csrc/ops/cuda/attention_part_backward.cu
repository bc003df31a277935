#include "ops/cuda/attention_part.cuh"
#include "ops/cuda/attention_scores.cuh"
#include "ops/cuda/dispatch.cuh"

namespace eisbach::cuda {
namespace attention {
namespace {

// What backward reads of one query head from row `first` of the span on.
template <typename T>
struct PartQueries {
  __device__ __forceinline__ PartQueries(const AttentionPartSizes& p,
                                         bool vectors, const T* qkv,
                                         const T* dout, const float* lse,
                                         const float* delta, long long batch,
                                         int head, long long first) {
    const AttentionSizes& s = p.common;
    q = QueryMatrix(p, vectors, qkv, WidthOf(s), batch, head, first);
    dy =
        QueryMatrix(p, vectors, dout, s.heads * s.head_dim, batch, head, first);
    const long long at =
        (batch * s.heads + head) * p.query_rows + p.query_row + first;
    logs = lse + at;
    deltas = delta + at;
  }

  Matrix<T> q, dy;
  const float *logs, *deltas;
};

// The weights of the query tile at `first` and the key tile at `keys`, and the
// gradients of its scores before their scale.
template <typename T>
__device__ __forceinline__ void PartWeightsAndGradients(
    const AttentionPartSizes& p, const PartQueries<T>& query,
    const Matrix<T>& k, const Matrix<T>& v, long long batch, long long first,
    long long keys, Tile& left, Tile& right, Part& weights, Part& gradients) {
  DotRows(query.q, k, left, right, weights);
  DotRows(query.dy, v, left, right, gradients);
  // Not before the products: they have no registers to spare.
  const SeenColumns seen = SeenColumnsOf(p, batch, first, keys);
  ToGradients<true>(
      p.common, query.q.rows, query.logs, query.deltas,
      [&](int i, int column) { return seen.hides(i, column); }, weights,
      gradients);
}

// A block owns 64 queries of a head.
template <typename T, int kChunks>
__global__ void __launch_bounds__(kTileThreads, 1)
    PartQueryGradientKernel(AttentionPartSizes p, bool vectors, const T* qkv,
                            const T* keys_values, const T* dout,
                            const float* lse, const float* delta,
                            float* dqueries) {
  EISBACH_SHARED(Tile, tiles, [2]);
  Tile &left = tiles[0], &right = tiles[1];
  const AttentionSizes& s = p.common;
  const Task task = TaskOf(TilesOf(s), s.batch, s.heads, kChunks * kTile, true);
  const int kv = (task.head + s.query_offset) / s.group;
  const long long first = task.tile * kTile;
  const PartQueries<T> query(p, vectors, qkv, dout, lse, delta, task.batch,
                             task.head, first);
  Part sums[kChunks];
#pragma unroll
  for (int c = 0; c < kChunks; ++c) Clear(sums[c]);
  const KeyTiles range = KeyTilesFor(p, task.batch, first);
  for (long long t = range.begin; t < range.end; ++t) {
    const Matrix<T> k = KeyMatrix(p, vectors, keys_values, task.batch, kv,
                                  /*values=*/false, t * kTile);
    const Matrix<T> v = KeyMatrix(p, vectors, keys_values, task.batch, kv,
                                  /*values=*/true, t * kTile);
    Part weights, gradients;
    PartWeightsAndGradients(p, query, k, v, task.batch, first, t * kTile, left,
                            right, weights, gradients);
    WriteTurned(gradients, left);
    Accumulate(left, k, task.begin, right, sums);
  }
  const int stride = s.heads * s.head_dim;
  const long long row = task.batch * p.query_rows + p.query_row + first;
  float* to = dqueries + row * stride + task.head * s.head_dim;
  ForEachNumber(sums, stride, query.q.rows, task.begin, s.head_dim,
                [&](long long at, int, float sum) { to[at] += s.scale * sum; });
}

// A block owns 64 keys and values of a head; the query heads that read them
// come one after the other.
template <typename T, int kChunks>
__global__ void __launch_bounds__(kTileThreads, 1)
    PartKeyValueGradientKernel(AttentionPartSizes p, bool vectors, const T* qkv,
                               const T* keys_values, const T* dout,
                               const float* lse, const float* delta,
                               float* dkeys_values) {
  EISBACH_SHARED(Tile, tiles, [2]);
  Tile &left = tiles[0], &right = tiles[1];
  const AttentionSizes& s = p.common;
  const Task task =
      TaskOf(KeyTilesOf(p), s.batch, s.kv_heads, kChunks * kTile, false);
  const int kv = task.head;
  const long long first = task.tile * kTile;
  const Matrix<T> k = KeyMatrix(p, vectors, keys_values, task.batch, kv,
                                /*values=*/false, first);
  const Matrix<T> v = KeyMatrix(p, vectors, keys_values, task.batch, kv,
                                /*values=*/true, first);
  const int begin = max(kv * s.group - s.query_offset, 0);
  const int end = min((kv + 1) * s.group - s.query_offset, s.heads);
  Part dk[kChunks], dv[kChunks];
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    Clear(dk[c]);
    Clear(dv[c]);
  }
  for (int head = begin; head < end; ++head) {
    for (long long t = 0; t < TilesOf(s); ++t) {
      const KeyTiles range = KeyTilesFor(p, task.batch, t * kTile);
      if (task.tile < range.begin || task.tile >= range.end) continue;
      const PartQueries<T> query(p, vectors, qkv, dout, lse, delta, task.batch,
                                 head, t * kTile);
      Part weights, gradients;
      PartWeightsAndGradients(p, query, k, v, task.batch, t * kTile, first,
                              left, right, weights, gradients);
      WriteRows(weights, left);
      Accumulate(left, query.dy, task.begin, right, dv);
      WriteRows(gradients, left);
      Accumulate(left, query.q, task.begin, right, dk);
    }
  }
  const int stride = KeyWidthOf(p);
  const long long row = task.batch * p.key_rows + p.key_row + first;
  float* keys = dkeys_values + row * stride + kv * s.head_dim;
  float* values = keys + s.kv_heads * s.head_dim;
  ForEachNumber(
      dk, stride, k.rows, task.begin, s.head_dim,
      [&](long long at, int, float sum) { keys[at] += s.scale * sum; });
  ForEachNumber(dv, stride, k.rows, task.begin, s.head_dim,
                [&](long long at, int, float sum) { values[at] += sum; });
}

}  // namespace
}  // namespace attention

cudaError_t LaunchAttentionPartBackward(Type type, const AttentionPartSizes& p,
                                        const void* dout, const void* qkv,
                                        const void* keys_values,
                                        const float* lse, const float* delta,
                                        float* dqueries, float* dkeys_values,
                                        cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* packed = static_cast<const T*>(qkv);
    const T* keys = static_cast<const T*>(keys_values);
    const T* dy = static_cast<const T*>(dout);
    const int dim = p.common.head_dim;
    const bool vectors =
        Vectorised(packed, dim) && Vectorised(keys, dim) && Vectorised(dy, dim);
    return attention::DispatchChunks(dim, [&](auto chunks) {
      constexpr int kChunks = decltype(chunks)::value;
      const cudaError_t error =
          Launch({attention::TaskGrid<kChunks>(p.common, p.common.heads),
                  dim3(attention::kTileThreads), stream},
                 attention::PartQueryGradientKernel<T, kChunks>, p, vectors,
                 packed, keys, dy, lse, delta, dqueries);
      if (error != cudaSuccess) return error;
      // Two sums: more than two chunks of each have no room in registers.
      constexpr int kPair = kChunks < 2 ? kChunks : 2;
      AttentionSizes grid = p.common;
      grid.length = p.key_count;
      return Launch({attention::TaskGrid<kPair>(grid, p.common.kv_heads),
                     dim3(attention::kTileThreads), stream},
                    attention::PartKeyValueGradientKernel<T, kPair>, p, vectors,
                    packed, keys, dy, lse, delta, dkeys_values);
    });
  });
}

}  // namespace eisbach::cuda
