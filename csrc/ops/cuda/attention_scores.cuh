#pragma once

#include "ops/cuda/attention_tile.cuh"

// What becomes of the scores of a tile of queries and keys: weights in forward,
// weights and gradients in backward. `hidden(i, column)` tells whether row i of
// a thread's four does not see a column of the tile.
namespace eisbach::cuda::attention {

inline constexpr float kLn2 = 0.693147181f;

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

// Before the first tile.
template <int kChunks>
__device__ __forceinline__ void Begin(OnlineSoftmax& rows,
                                      Part (&sums)[kChunks]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    rows.largest[i] = -INFINITY;
    rows.sum[i] = 0.0f;
  }
#pragma unroll
  for (int c = 0; c < kChunks; ++c) Clear(sums[c]);
}

// Scores become weights relative to the rows' new largest score; `factor` is
// for what was summed before. Where kLimited a row may see no column.
template <bool kLimited, typename Hidden>
__device__ __forceinline__ void ToWeights(const AttentionSizes& s, Part& scores,
                                          const Hidden& hidden,
                                          OnlineSoftmax& rows,
                                          float (&factor)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    float largest = rows.largest[i];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      float& score = scores.v[i][j];
      score = hidden(i, TileColumn() + j) ? -INFINITY
                                          : ScoreOf<kLimited>(s, score).log2;
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

// What was summed before, relative to the new largest scores.
template <int kChunks>
__device__ __forceinline__ void ScaleRows(const float (&factor)[4],
                                          Part (&sums)[kChunks]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
#pragma unroll
    for (int c = 0; c < kChunks; ++c) {
#pragma unroll
      for (int j = 0; j < 4; ++j) sums[c].v[i][j] *= factor[i];
    }
  }
}

// In `weights` scores become weights, and in `gradients` those of the weights,
// dp, those of the scores before their scale: p (dp - delta), times the slope
// of the cap. `logs`, in units of e, and `deltas` are of the tile's `rows`
// rows.
template <bool kLimited, typename Hidden>
__device__ __forceinline__ void ToGradients(const AttentionSizes& s, int rows,
                                            const float* logs,
                                            const float* deltas,
                                            const Hidden& hidden, Part& weights,
                                            Part& gradients) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = TileRow() + i;
    const bool there = row < rows;
    const float log2 = there ? logs[row] * kLog2E : 0.0f;
    const float delta = there ? deltas[row] : 0.0f;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const bool unseen = hidden(i, TileColumn() + j);
      const Score score = ScoreOf<kLimited>(s, weights.v[i][j]);
      const float weight = exp2f(score.log2 - log2);
      const float gradient = weight * (gradients.v[i][j] - delta);
      weights.v[i][j] = unseen ? 0.0f : weight;
      gradients.v[i][j] = unseen ? 0.0f : gradient * score.slope;
    }
  }
}

}  // namespace eisbach::cuda::attention
