#include "ops/cuda/attention_part.cuh"
#include "ops/cuda/attention_scores.cuh"
#include "ops/cuda/dispatch.cuh"

namespace eisbach::cuda {
namespace attention {
namespace {

template <typename T, int kChunks>
__global__ void __launch_bounds__(kTileThreads, 1)
    AttentionPartKernel(AttentionPartSizes p, bool vectors, bool merges,
                        const T* qkv, const T* keys_values, float* out,
                        float* lse) {
  EISBACH_SHARED(Tile, tiles, [2]);
  Tile &left = tiles[0], &right = tiles[1];
  const AttentionSizes& s = p.common;
  const Task task = TaskOf(TilesOf(s), s.batch, s.heads, kChunks * kTile, true);
  const int kv = (task.head + s.query_offset) / s.group;
  const long long first = task.tile * kTile;
  const Matrix<T> q =
      QueryMatrix(p, vectors, qkv, WidthOf(s), task.batch, task.head, first);
  OnlineSoftmax softmax;
  Part sums[kChunks];
  Begin(softmax, sums);
  const KeyTiles range = KeyTilesFor(p, task.batch, first);
  for (long long t = range.begin; t < range.end; ++t) {
    const Matrix<T> k = KeyMatrix(p, vectors, keys_values, task.batch, kv,
                                  /*values=*/false, t * kTile);
    const Matrix<T> v = KeyMatrix(p, vectors, keys_values, task.batch, kv,
                                  /*values=*/true, t * kTile);
    Part weights;
    float factor[4];
    DotRows(q, k, left, right, weights);
    const SeenColumns seen = SeenColumnsOf(p, task.batch, first, t * kTile);
    ToWeights<true>(
        s, weights, [&](int i, int column) { return seen.hides(i, column); },
        softmax, factor);
    ScaleRows(factor, sums);
    WriteTurned(weights, left);
    Accumulate(left, v, task.begin, right, sums);
  }

  float by[4], keep[4];
  float* logs = lse + (task.batch * s.heads + task.head) * p.query_rows +
                p.query_row + first;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float sum =
        ReduceRow(softmax.sum[i], [](float a, float b) { return a + b; });
    const bool there = TileRow() + i < q.rows;
    const float mine =
        sum == 0.0f ? -INFINITY : softmax.largest[i] * kLn2 + logf(sum);
    const float before = merges && there ? logs[TileRow() + i] : -INFINITY;
    const float top = fmaxf(mine, before);
    const bool nothing = top == -INFINITY;
    const float both =
        nothing ? top : top + logf(expf(mine - top) + expf(before - top));
    by[i] = nothing || sum == 0.0f ? 0.0f : expf(mine - both) / sum;
    keep[i] = nothing ? 0.0f : expf(before - both);
    __syncwarp();  // all threads of the row have read it
    if (TileColumn() == 0 && there) logs[TileRow() + i] = both;
  }
  const int stride = s.heads * s.head_dim;
  const long long row = task.batch * p.query_rows + p.query_row + first;
  float* to = out + row * stride + task.head * s.head_dim;
  ForEachNumber(sums, stride, q.rows, task.begin, s.head_dim,
                [&](long long at, int i, float sum) {
                  to[at] = (merges ? keep[i] * to[at] : 0.0f) + by[i] * sum;
                });
}

}  // namespace
}  // namespace attention

cudaError_t LaunchAttentionPart(Type type, const AttentionPartSizes& p,
                                bool merges, const void* qkv,
                                const void* keys_values, float* out, float* lse,
                                cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* packed = static_cast<const T*>(qkv);
    const T* keys = static_cast<const T*>(keys_values);
    const bool vectors = Vectorised(packed, p.common.head_dim) &&
                         Vectorised(keys, p.common.head_dim);
    return attention::DispatchChunks(p.common.head_dim, [&](auto chunks) {
      constexpr int kChunks = decltype(chunks)::value;
      return Launch({attention::TaskGrid<kChunks>(p.common, p.common.heads),
                     dim3(attention::kTileThreads), stream},
                    attention::AttentionPartKernel<T, kChunks>, p, vectors,
                    merges, packed, keys, out, lse);
    });
  });
}

}  // namespace eisbach::cuda
