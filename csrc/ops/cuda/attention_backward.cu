#include "ops/cuda/attention_scores.cuh"
#include "ops/cuda/dispatch.cuh"
#include "ops/cuda/reduce.cuh"

namespace eisbach::cuda {
namespace attention {
namespace {

constexpr int kDeltaWarps = 8;

// A warp a row of a head.
template <typename T>
__global__ void __launch_bounds__(32 * kDeltaWarps)
    AttentionDeltaKernel(AttentionSizes s, bool vectors, const T* dout,
                         const T* out, float* delta) {
  constexpr int kWide = kPerVector<T>;
  const int lane = threadIdx.x % 32, dim = s.head_dim;
  const long long i =
      blockIdx.x * (long long)kDeltaWarps + threadIdx.x / 32;  // of [B, T, H]
  if (i >= s.batch * s.length * s.heads) return;
  const Matrix<T> a = {dout + i * dim, dim, 1, dim, vectors};
  const Matrix<T> b = {out + i * dim, dim, 1, dim, vectors};
  float sum = 0.0f;
  for (int column = lane * kWide; column < dim; column += 32 * kWide) {
    const Floats<T> x = LoadPiece(a, 0, column), y = LoadPiece(b, 0, column);
#pragma unroll
    for (int j = 0; j < kWide; ++j) sum += x.v[j] * y.v[j];
  }
  sum = WarpReduce<SumOf>(sum);
  const long long head = i % s.heads, row = i / s.heads % s.length;
  const long long batch = i / s.heads / s.length;
  if (lane == 0) delta[(batch * s.heads + head) * s.length + row] = sum;
}

// What backward reads of one query head from row `first` on.
template <typename T>
struct QueryRows {
  __device__ __forceinline__ QueryRows(const AttentionSizes& s, bool vectors,
                                       const T* qkv, const T* dout,
                                       const float* lse, const float* delta,
                                       long long batch, int head,
                                       long long first) {
    const long long row = batch * s.length + first;
    const int dense = s.heads * s.head_dim, rows = RowsOf(s, first);
    q = {qkv + row * WidthOf(s) + head * s.head_dim, WidthOf(s), rows,
         s.head_dim, vectors};
    dy = {dout + row * dense + head * s.head_dim, dense, rows, s.head_dim,
          vectors};
    const long long at = (batch * s.heads + head) * s.length + first;
    logs = lse + at;
    deltas = delta + at;
  }

  Matrix<T> q, dy;
  const float *logs, *deltas;
};

// Key and value rows from row `first` on.
template <typename T>
struct KeyRows {
  __device__ __forceinline__ KeyRows(const AttentionSizes& s, bool vectors,
                                     const T* qkv, long long batch, int kv,
                                     long long first) {
    const T* row = qkv + (batch * s.length + first) * WidthOf(s);
    k = {row + (s.heads + kv) * s.head_dim, WidthOf(s), RowsOf(s, first),
         s.head_dim, vectors};
    v = k;
    v.data += s.kv_heads * s.head_dim;
  }

  Matrix<T> k, v;
};

// The weights of a tile, and the gradients of its scores before their scale.
// Columns past the row's own, or where kLimited before `first`, and rows past
// the sequence's end have none.
template <bool kLimited, typename T>
__device__ __forceinline__ void WeightsAndGradients(
    const AttentionSizes& s, const QueryRows<T>& query, const KeyRows<T>& key,
    bool diagonal, const FirstColumns& first, Tile& left, Tile& right,
    Part& weights, Part& gradients) {
  DotRows(query.q, key.k, left, right, weights);
  DotRows(query.dy, key.v, left, right, gradients);
  const auto hidden = [&](int i, int column) {
    const int row = TileRow() + i;
    return row >= query.q.rows || (diagonal && column > row) ||
           (kLimited && column < first.v[i]);
  };
  ToGradients<kLimited>(s, query.q.rows, query.logs, query.deltas, hidden,
                        weights, gradients);
}

// A block owns 64 queries of a head.
template <typename T, int kChunks, bool kLimited>
__global__ void __launch_bounds__(kTileThreads, kBlocks<kChunks, kLimited>)
    QueryGradientKernel(AttentionSizes s, bool vectors, const T* qkv,
                        const T* dout, const float* lse, const float* delta,
                        T* dqkv) {
  EISBACH_SHARED(Tile, tiles, [2]);
  Tile &left = tiles[0], &right = tiles[1];
  const Task task = TaskOf(TilesOf(s), s.batch, s.heads, kChunks * kTile, true);
  const int kv = (task.head + s.query_offset) / s.group;
  const long long first = task.tile * kTile;
  const QueryRows<T> query(s, vectors, qkv, dout, lse, delta, task.batch,
                           task.head, first);

  Part sums[kChunks];
#pragma unroll
  for (int c = 0; c < kChunks; ++c) Clear(sums[c]);
  const long long start = kLimited ? FirstKey(s, task.batch, first) / kTile : 0;
  for (long long t = start; t <= task.tile; ++t) {
    const KeyRows<T> key(s, vectors, qkv, task.batch, kv, t * kTile);
    Part weights, gradients;
    WeightsAndGradients<kLimited>(
        s, query, key, t == task.tile,
        FirstColumnsOf<kLimited>(s, task.batch, first, t * kTile), left, right,
        weights, gradients);
    WriteTurned(gradients, left);
    Accumulate(left, key.k, task.begin, right, sums);
  }
  const float factor[4] = {s.scale, s.scale, s.scale, s.scale};
  const long long row = task.batch * s.length + first;
  StoreRows(sums, factor, dqkv + row * WidthOf(s) + task.head * s.head_dim,
            WidthOf(s), RowsOf(s, first), task.begin, s.head_dim, vectors);
}

// A block owns 64 keys and values of a head; the query heads that read them
// come one after the other. Those that no query head reads get zeros.
template <typename T, int kChunks, bool kLimited>
__global__ void __launch_bounds__(kTileThreads, kBlocks<kChunks, kLimited>)
    KeyValueGradientKernel(AttentionSizes s, bool vectors, const T* qkv,
                           const T* dout, const float* lse, const float* delta,
                           T* dqkv) {
  EISBACH_SHARED(Tile, tiles, [2]);
  Tile &left = tiles[0], &right = tiles[1];
  const Task task =
      TaskOf(TilesOf(s), s.batch, s.kv_heads, kChunks * kTile, false);
  const int kv = task.head;
  const long long first = task.tile * kTile;
  const KeyRows<T> key(s, vectors, qkv, task.batch, kv, first);
  const int begin = max(kv * s.group - s.query_offset, 0);
  const int end = min((kv + 1) * s.group - s.query_offset, s.heads);

  Part dk[kChunks], dv[kChunks];
#pragma unroll
  for (int c = 0; c < kChunks; ++c) {
    Clear(dk[c]);
    Clear(dv[c]);
  }
  for (int head = begin; head < end; ++head) {
    for (long long t = task.tile; t < TilesOf(s); ++t) {
      // Later queries see no earlier keys.
      if (kLimited && FirstKey(s, task.batch, t * kTile) >= first + kTile) {
        break;
      }
      const QueryRows<T> query(s, vectors, qkv, dout, lse, delta, task.batch,
                               head, t * kTile);
      Part weights, gradients;
      WeightsAndGradients<kLimited>(
          s, query, key, t == task.tile,
          FirstColumnsOf<kLimited>(s, task.batch, t * kTile, first), left,
          right, weights, gradients);
      WriteRows(weights, left);
      Accumulate(left, query.dy, task.begin, right, dv);
      WriteRows(gradients, left);
      Accumulate(left, query.q, task.begin, right, dk);
    }
  }
  const float one[4] = {1.0f, 1.0f, 1.0f, 1.0f};
  const float factor[4] = {s.scale, s.scale, s.scale, s.scale};
  const long long row = task.batch * s.length + first;
  const int rows = RowsOf(s, first);
  T* keys = dqkv + row * WidthOf(s) + (s.heads + kv) * s.head_dim;
  StoreRows(dk, factor, keys, WidthOf(s), rows, task.begin, s.head_dim,
            vectors);
  StoreRows(dv, one, keys + s.kv_heads * s.head_dim, WidthOf(s), rows,
            task.begin, s.head_dim, vectors);
}

}  // namespace
}  // namespace attention

cudaError_t LaunchAttentionDelta(Type type, const AttentionSizes& s,
                                 const void* dout, const void* out,
                                 float* delta, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* dy = static_cast<const T*>(dout);
    const T* y = static_cast<const T*>(out);
    return Launch(
        {dim3(BlocksFor(s.batch * s.length * s.heads, attention::kDeltaWarps)),
         dim3(32 * attention::kDeltaWarps), stream},
        attention::AttentionDeltaKernel<T>, s,
        Vectorised(dy, s.head_dim) && Vectorised(y, s.head_dim), dy, y, delta);
  });
}

cudaError_t LaunchAttentionBackward(Type type, const AttentionSizes& s,
                                    const void* dout, const void* qkv,
                                    const float* lse, const float* delta,
                                    void* dqkv, cudaStream_t stream) {
  return Dispatch(type, [&](auto zero) {
    using T = decltype(zero);
    const T* packed = static_cast<const T*>(qkv);
    const T* dy = static_cast<const T*>(dout);
    T* gradient = static_cast<T*>(dqkv);
    const bool vectors = Vectorised(packed, s.head_dim) &&
                         Vectorised(dy, s.head_dim) &&
                         Vectorised(gradient, s.head_dim);
    const auto launch = [&](auto chunks, auto limited) {
      constexpr int kChunks = decltype(chunks)::value;
      constexpr bool kLimited = decltype(limited)::value;
      const cudaError_t error =
          Launch({attention::TaskGrid<kChunks>(s, s.heads),
                  dim3(attention::kTileThreads), stream},
                 attention::QueryGradientKernel<T, kChunks, kLimited>, s,
                 vectors, packed, dy, lse, delta, gradient);
      if (error != cudaSuccess) return error;
      // Two sums: more than two chunks of each have no room in registers.
      constexpr int kPair = kChunks < 2 ? kChunks : 2;
      return Launch({attention::TaskGrid<kPair>(s, s.kv_heads),
                     dim3(attention::kTileThreads), stream},
                    attention::KeyValueGradientKernel<T, kPair, kLimited>, s,
                    vectors, packed, dy, lse, delta, gradient);
    };
    return attention::DispatchChunks(s.head_dim, [&](auto chunks) {
      return attention::DispatchLimited(
          s, [&](auto limited) { return launch(chunks, limited); });
    });
  });
}

}  // namespace eisbach::cuda
