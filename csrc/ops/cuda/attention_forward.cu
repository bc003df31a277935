#include "ops/cuda/attention_tile.cuh"
#include "ops/cuda/dispatch.cuh"

namespace eisbach::cuda {
namespace attention {
namespace {

constexpr float kLn2 = 0.693147181f;

// Over the 16 threads that share four rows.
template <typename Op>
__device__ __forceinline__ float ReduceRow(float v, Op op) {
#pragma unroll
  for (int offset = 8; offset > 0; offset >>= 1) {
    v = op(v, __shfl_xor_sync(0xffffffffu, v, offset));
  }
  return v;
}

// What a thread knows of its four rows, in units of log2: the largest score so
// far, and of its own columns the sum of 2^(score - largest).
struct OnlineSoftmax {
  float largest[4];
  float sum[4];
};

// Scores become weights relative to the rows' new largest score; `factor` is
// for what was summed before. Columns past the row's own are hidden on the
// diagonal, and where kLimited those before `first`; then a row may see none.
template <bool kLimited>
__device__ __forceinline__ void ToWeights(const AttentionSizes& s, Part& scores,
                                          bool diagonal,
                                          const FirstColumns& first,
                                          OnlineSoftmax& rows,
                                          float (&factor)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    float largest = rows.largest[i];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float& score = scores.v[i][j];
      const int column = TileColumn() + j;
      const bool hidden = (diagonal && column > TileRow() + i) ||
                          (kLimited && column < first.v[i]);
      score = hidden ? -INFINITY : ScoreOf<kLimited>(s, score).log2;
      largest = fmaxf(largest, score);
    }
    largest = ReduceRow(largest, [](float a, float b) { return fmaxf(a, b); });
    const float base = kLimited && largest == -INFINITY ? 0.0f : largest;
    factor[i] = exp2f(rows.largest[i] - base);
    rows.largest[i] = largest;
    rows.sum[i] *= factor[i];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      scores.v[i][j] = exp2f(scores.v[i][j] - base);
      rows.sum[i] += scores.v[i][j];
    }
  }
}

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
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    softmax.largest[i] = -INFINITY;
    softmax.sum[i] = 0.0f;
  }
#pragma unroll
  for (int c = 0; c < kChunks; ++c) Clear(sums[c]);

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
    ToWeights<kLimited>(
        s, weights, t == task.tile,
        FirstColumnsOf<kLimited>(s, task.batch, first, t * kTile), softmax,
        factor);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int c = 0; c < kChunks; ++c) {
#pragma unroll
        for (int j = 0; j < 4; ++j) sums[c].v[i][j] *= factor[i];
      }
    }
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
