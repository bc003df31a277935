#include "ops/cuda/attention_scores.cuh"
#include "ops/cuda/dispatch.cuh"

namespace eisbach::cuda {
namespace attention {
namespace {

template <typename T, int kChunks, bool kLimited>
__global__ void __launch_bounds__(kTileThreads, kBlocks<kChunks, kLimited>)
    AttentionForwardKernel(AttentionSizes s, bool vectors, const T* qkv, T* out,
                           float* lse) {
  EISBACH_SHARED(Tile, tiles, [2]);
  Tile &left = tiles[0], &right = tiles[1];
  // The longest rows first.
  const Task task = TaskOf(TilesOf(s), s.batch, s.heads, kChunks * kTile, true);
  const int width = WidthOf(s), dim = s.head_dim;
  const int kv = (task.head + s.query_offset) / s.group;
  const long long first = task.tile * kTile;
  const int rows = RowsOf(s, first);
  const T* sequence = qkv + task.batch * s.length * width;
  const Matrix<T> q = {sequence + first * width + task.head * dim, width, rows,
                       dim, vectors};

  OnlineSoftmax softmax;
  Part sums[kChunks];
  Begin(softmax, sums);

  const long long begin = kLimited ? FirstKey(s, task.batch, first) / kTile : 0;
  for (long long t = begin; t <= task.tile; ++t) {
    const T* keys = sequence + t * kTile * width +
                    static_cast<long long>(s.heads + kv) * dim;
    const Matrix<T> k = {keys, width, RowsOf(s, t * kTile), dim, vectors};
    Matrix<T> v = k;
    v.data += static_cast<long long>(s.kv_heads) * dim;
    Part weights;
    float factor[4];
    DotRows(q, k, left, right, weights);
    const FirstColumns columns =
        FirstColumnsOf<kLimited>(s, task.batch, first, t * kTile);
    const auto hidden = [&](int i, int column) {
      return (t == task.tile && column > TileRow() + i) ||
             (kLimited && column < columns.v[i]);
    };
    ToWeights<kLimited>(s, weights, hidden, softmax, factor);
    ScaleRows(factor, sums);
    WriteTurned(weights, left);
    Accumulate(left, v, task.begin, right, sums);
  }

  float factor[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float sum =
        ReduceRow(softmax.sum[i], [](float a, float b) { return a + b; });
    factor[i] = 1.0f / sum;
    if (task.begin == 0 && TileColumn() == 0 && TileRow() + i < rows) {
      lse[(task.batch * s.heads + task.head) * s.length + first + TileRow() +
          i] = softmax.largest[i] * kLn2 + logf(sum);
    }
  }
  const int stride = s.heads * dim;
  StoreRows(sums, factor,
            out + (task.batch * s.length + first) * stride + task.head * dim,
            stride, rows, task.begin, dim, vectors);
}

}  // namespace
}  // namespace attention

cudaError_t LaunchAttentionForward(Type type, const AttentionSizes& s,
                                   const void* qkv, void* out, float* lse,
                                   cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* packed = static_cast<const T*>(qkv);
    T* dense = static_cast<T*>(out);
    const bool vectors =
        Vectorised(packed, s.head_dim) && Vectorised(dense, s.head_dim);
    return attention::DispatchChunks(s.head_dim, [&](auto chunks) {
      constexpr int kChunks = decltype(chunks)::value;
      return attention::DispatchLimited(s, [&](auto limited) {
        constexpr bool kLimited = decltype(limited)::value;
        return Launch({attention::TaskGrid<kChunks>(s, s.heads),
                       dim3(attention::kTileThreads), stream},
                      attention::AttentionForwardKernel<T, kChunks, kLimited>,
                      s, vectors, packed, dense, lse);
      });
    });
  });
}

}  // namespace eisbach::cuda
