#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "ops/cpu/attention_sequences.h"
#include "ops/cpu/attention_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/attention_backward.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "ops/cpu/attention_pairs-inl.h"
#include "ops/cpu/attention_scores-inl.h"
#include "ops/cpu/attention_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {

// A thread's buffer, [T, D] in f32 where not said otherwise. For one key/value
// head: keys; keys and values in tiles of [D, kTile]; both gradients, summed
// over the query heads that share them. For one query head: queries, dout,
// dqueries; per row, lse in units of log2 and delta = sum(dout * out). One tile
// of weights and of gradients of scores.
struct BackwardBuffer {
  BackwardBuffer(float* base, const AttentionSizes& s) {
    const auto take = [&base](int64_t floats) {
      return std::exchange(base, base + floats);
    };
    const int64_t whole = s.tiles * kTile * s.stride;
    const int64_t transposed = s.tiles * s.head_dim * kTileStride;
    keys = take(whole);
    dkeys = take(whole);
    dvalues = take(whole);
    queries = take(whole);
    dout = take(whole);
    dqueries = take(whole);
    keys_t = take(transposed);
    values_t = take(transposed);
    weights = take(kTile * kTileStride);
    dscores = take(kTile * kTileStride);
    lse = take(s.tiles * kTile);
    delta = take(s.tiles * kTile);
    end = base;
  }
  static int64_t Size(const AttentionSizes& s) {
    return BackwardBuffer(nullptr, s).end - static_cast<float*>(nullptr);
  }

  // Queries carry the scale and log2(e), of which the keys' gradient needs
  // only the first.
  static float KeyGradientFactor(double /*scale*/) {
    return static_cast<float>(std::numbers::ln2);
  }

  float *keys, *dkeys, *dvalues, *queries, *dout, *dqueries;
  float *keys_t, *values_t, *weights, *dscores, *lse, *delta, *end;
};

// The same for row `r` of query tile `i` and key tile `j`.
template <bool kDiagonal, class Buffer>
HWY_INLINE void DifferentiateTileRow(const AttentionSizes& s,
                                     const Buffer& buffer, int64_t i, int64_t j,
                                     int64_t r, float scale) {
  float* weights = buffer.weights + r * kTileStride;
  float* dscores = buffer.dscores + r * kTileStride;
  const int64_t hidden = s.columns_before_window(i, r, j);
  const int64_t visible = kDiagonal ? r + 1 : kTile;
  const float lse = buffer.lse[i * kTile + r];
  const float delta = buffer.delta[i * kTile + r];
  if (s.cap == 0) {
    DifferentiateRow<false>(weights, dscores, hidden, visible, scale, 0, lse,
                            delta);
  } else {
    DifferentiateRow<true>(weights, dscores, hidden, visible, scale,
                           static_cast<float>(s.cap * std::numbers::log2e), lse,
                           delta);
  }
}

// Adds what query tile `i` and key tile `j` <= `i` give to the three gradients.
template <bool kDiagonal>
void DifferentiateTile(const AttentionSizes& s, const BackwardBuffer& buffer,
                       int64_t i, int64_t j, float /*scale*/) {
  constexpr auto part = [](Part diagonal) {
    return kDiagonal ? diagonal : Part::kAll;
  };
  const int64_t rows = s.tile_rows(i), keys = s.tile_rows(j);
  const int64_t columns = Columns(s);
  const int64_t query_row = i * kTile, key_row = j * kTile;
  const int64_t transposed = j * s.head_dim * kTileStride;
  const float* queries = buffer.queries + query_row * s.stride;
  const float* dout = buffer.dout + query_row * s.stride;
  TileProduct<part(Part::kColumnsToRow), false>(
      rows, kTile, s.head_dim, queries, s.stride, buffer.keys_t + transposed,
      kTileStride, false, buffer.weights, kTileStride);
  TileProduct<part(Part::kColumnsToRow), false>(
      rows, kTile, s.head_dim, dout, s.stride, buffer.values_t + transposed,
      kTileStride, false, buffer.dscores, kTileStride);
  for (int64_t r = 0; r < rows; ++r) {
    DifferentiateTileRow<kDiagonal>(s, buffer, i, j, r, 1.0f);
  }
  TileProduct<part(Part::kTermsFromRow), true>(
      keys, columns, rows, buffer.weights, kTileStride, dout, s.stride, true,
      buffer.dvalues + key_row * s.stride, s.stride);
  TileProduct<part(Part::kTermsFromRow), true>(
      keys, columns, rows, buffer.dscores, kTileStride, queries, s.stride, true,
      buffer.dkeys + key_row * s.stride, s.stride);
  TileProduct<part(Part::kTermsToRow), false>(
      rows, columns, keys, buffer.dscores, kTileStride,
      buffer.keys + key_row * s.stride, s.stride, true,
      buffer.dqueries + query_row * s.stride, s.stride);
}

template <typename T>
void PackKeyValueHead(const AttentionSizes& s, const T* qkv, int64_t kv,
                      const BackwardBuffer& buffer) {
  PackRows(s, qkv + s.key(kv), s.width, s.length, 1.0f, buffer.keys);
  // Not needed before the first query head is packed.
  float* values = buffer.queries;
  PackRows(s, qkv + s.value(kv), s.width, s.length, 1.0f, values);
  for (int64_t t = 0; t < s.tiles; ++t) {
    const int64_t from = t * kTile * s.stride;
    const int64_t to = t * s.head_dim * kTileStride;
    TransposeTile(buffer.keys + from, s.stride, s.tile_rows(t), s.head_dim,
                  buffer.keys_t + to);
    TransposeTile(values + from, s.stride, s.tile_rows(t), s.head_dim,
                  buffer.values_t + to);
  }
  std::fill_n(buffer.dkeys, s.length * s.stride, 0.0f);
  std::fill_n(buffer.dvalues, s.length * s.stride, 0.0f);
}

template <typename T>
void PackQueries(const AttentionSizes& s, const T* queries, const T* /*dout*/,
                 float scale, const BackwardBuffer& buffer) {
  PackRows(s, queries, s.width, s.length, scale, buffer.queries);
}

#if EISBACH_ATTENTION_PAIRS

// The same in bf16. In pairs of columns, which the products of scores read:
// keys and values in tiles of [D / 2, kTile], queries and dout in rows. In
// pairs of rows, which the gradients are summed from: keys, queries, dout, and
// of one tile the weights and gradients of scores, the latter in pairs of
// columns too. dout is there in f32 too, for delta.
struct PairBackwardBuffer {
  PairBackwardBuffer(float* base, const AttentionSizes& s) {
    const auto take = [&base](int64_t floats) {
      return std::exchange(base, base + floats);
    };
    const auto pairs = [&](int64_t count) {
      return reinterpret_cast<Pair*>(take(count));
    };
    const int64_t whole = s.tiles * kTile * s.stride;
    const int64_t rows = s.tiles * kTile * PairStride(s);
    const int64_t transposed = s.tiles * HeadPairs(s) * kTileStride;
    dkeys = take(whole);
    dvalues = take(whole);
    dqueries = take(whole);
    keys_t = pairs(transposed);
    values_t = pairs(transposed);
    queries = pairs(rows);
    dout_rows = pairs(rows);
    key_pairs = pairs(whole / 2);
    query_pairs = pairs(whole / 2);
    dout_pairs = pairs(whole / 2);
    weights = take(kTile * kTileStride);
    dscores = take(kTile * kTileStride);
    weight_pairs = pairs(kTile / 2 * kTileStride);
    dscore_pairs = pairs(kTile / 2 * kTileStride);
    dscore_rows = pairs(kTile * kPairTileStride);
    lse = take(s.tiles * kTile);
    delta = take(s.tiles * kTile);
    dout = take(whole);
    end = base;
  }
  static int64_t Size(const AttentionSizes& s) {
    return PairBackwardBuffer(nullptr, s).end - static_cast<float*>(nullptr);
  }
  static float KeyGradientFactor(double scale) {
    return static_cast<float>(scale);
  }

  float *dkeys, *dvalues, *dqueries;
  Pair *keys_t, *values_t, *queries, *dout_rows;
  Pair *key_pairs, *query_pairs, *dout_pairs;
  float *weights, *dscores;
  Pair *weight_pairs, *dscore_pairs, *dscore_rows;
  float *lse, *delta, *dout, *end;
};

template <bool kDiagonal>
void DifferentiateTile(const AttentionSizes& s,
                       const PairBackwardBuffer& buffer, int64_t i, int64_t j,
                       float scale) {
  constexpr auto part = [](Part diagonal) {
    return kDiagonal ? diagonal : Part::kAll;
  };
  const int64_t rows = s.tile_rows(i), keys = s.tile_rows(j);
  const int64_t columns = Columns(s), head_pairs = HeadPairs(s);
  const int64_t query_row = i * kTile, key_row = j * kTile;
  const int64_t transposed = j * head_pairs * kTileStride;
  const int64_t row_pairs = (rows + 1) / 2;
  TileProduct<part(Part::kColumnsToRow), false, PairTerms>(
      rows, kTile, head_pairs, buffer.queries + query_row * PairStride(s),
      PairStride(s), buffer.keys_t + transposed, kTileStride, false,
      buffer.weights, kTileStride);
  TileProduct<part(Part::kColumnsToRow), false, PairTerms>(
      rows, kTile, head_pairs, buffer.dout_rows + query_row * PairStride(s),
      PairStride(s), buffer.values_t + transposed, kTileStride, false,
      buffer.dscores, kTileStride);
  for (int64_t r = 0; r < rows; ++r) {
    DifferentiateTileRow<kDiagonal>(s, buffer, i, j, r, scale);
    RoundRow(buffer.dscores + r * kTileStride,
             buffer.dscore_rows + r * kPairTileStride);
  }
  RoundRowPairs(buffer.weights, rows, buffer.weight_pairs);
  RoundRowPairs(buffer.dscores, rows, buffer.dscore_pairs);
  TileProduct<part(Part::kTermsFromRow), true, PairTerms>(
      keys, columns, row_pairs, buffer.weight_pairs, kTileStride,
      buffer.dout_pairs + query_row / 2 * s.stride, s.stride, true,
      buffer.dvalues + key_row * s.stride, s.stride);
  TileProduct<part(Part::kTermsFromRow), true, PairTerms>(
      keys, columns, row_pairs, buffer.dscore_pairs, kTileStride,
      buffer.query_pairs + query_row / 2 * s.stride, s.stride, true,
      buffer.dkeys + key_row * s.stride, s.stride);
  TileProduct<part(Part::kTermsToRow), false, PairTerms>(
      rows, columns, (keys + 1) / 2, buffer.dscore_rows, kPairTileStride,
      buffer.key_pairs + key_row / 2 * s.stride, s.stride, true,
      buffer.dqueries + query_row * s.stride, s.stride);
}

inline void PackKeyValueHead(const AttentionSizes& s, const BFloat16* qkv,
                             int64_t kv, const PairBackwardBuffer& buffer) {
  const BFloat16* keys = qkv + s.key(kv);
  const BFloat16* values = qkv + s.value(kv);
  PackRowPairs(s, keys, s.width, s.length, buffer.key_pairs);
  for (int64_t t = 0; t < s.tiles; ++t) {
    const int64_t from = t * kTile * s.width, rows = s.tile_rows(t);
    const int64_t to = t * HeadPairs(s) * kTileStride;
    Pair* packed = buffer.queries;  // not needed yet
    PackPairs(s, keys + from, s.width, rows, packed);
    TransposePairs(s, packed, rows, buffer.keys_t + to);
    PackPairs(s, values + from, s.width, rows, packed);
    TransposePairs(s, packed, rows, buffer.values_t + to);
  }
  std::fill_n(buffer.dkeys, s.length * s.stride, 0.0f);
  std::fill_n(buffer.dvalues, s.length * s.stride, 0.0f);
}

inline void PackQueries(const AttentionSizes& s, const BFloat16* queries,
                        const BFloat16* dout, float /*scale*/,
                        const PairBackwardBuffer& buffer) {
  const int64_t out_width = s.heads.heads * s.head_dim;
  PackPairs(s, queries, s.width, s.length, buffer.queries);
  PackRowPairs(s, queries, s.width, s.length, buffer.query_pairs);
  PackPairs(s, dout, out_width, s.length, buffer.dout_rows);
  PackRowPairs(s, dout, out_width, s.length, buffer.dout_pairs);
}

#endif  // EISBACH_ATTENTION_PAIRS

template <typename T, class Buffer>
void PackQueryHead(const AttentionBackwardArgs& args, const AttentionSizes& s,
                   const Sequence& sequence, int64_t head, float scale,
                   const Buffer& buffer) {
  const Floats d;
  const int64_t row = sequence.batch * args.qkv.dim(1) + sequence.first;
  const int64_t out_width = s.heads.heads * s.head_dim;
  const int64_t out_offset = row * out_width + head * s.head_dim;
  const T* douts = args.dout.data<T>() + out_offset;
  PackQueries(s, args.qkv.data<T>() + row * s.width + s.query(head), douts,
              scale, buffer);
  PackRows(s, douts, out_width, s.length, 1.0f, buffer.dout);
  const float* lse = args.lse.data<float>() +
                     (sequence.batch * s.heads.heads + head) * args.qkv.dim(1) +
                     sequence.first;
  for (int64_t t = 0; t < s.length; ++t) {
    float* out = buffer.dqueries;  // one row of it, zeroed below
    PackRows(s, args.out.data<T>() + out_offset + t * out_width, out_width, 1,
             1.0f, out);
    const float* dout = buffer.dout + t * s.stride;
    auto sum = hn::Zero(d);
    for (int64_t j = 0; j < s.head_dim; j += hn::Lanes(d)) {
      sum = hn::MulAdd(hn::LoadU(d, out + j), hn::LoadU(d, dout + j), sum);
    }
    buffer.delta[t] = hn::GetLane(hn::SumOfLanes(d, sum));
    buffer.lse[t] = static_cast<float>(lse[t] * std::numbers::log2e);
  }
  std::fill_n(buffer.dqueries, s.length * s.stride, 0.0f);
}

// Key/value heads [begin, end) of a sequence. The query heads that share one
// add to its gradients in their order, key tile by key tile.
template <typename T, class Buffer>
void BackwardTasks(const AttentionBackwardArgs& args, const Sequence& sequence,
                   int64_t begin, int64_t end, float* base) {
  const AttentionSizes s(args.heads, args.options, sequence.length);
  const Buffer buffer(base, s);
  const float scale_log2 = s.scale_log2();
  const int64_t offset =
      (sequence.batch * args.qkv.dim(1) + sequence.first) * s.width;
  T* dqkv = args.dqkv.data<T>() + offset;
  for (int64_t kv = begin; kv < end; ++kv) {
    PackKeyValueHead(s, args.qkv.data<T>() + offset, kv, buffer);
    for (int64_t h = s.first_query(kv); h < s.last_query(kv); ++h) {
      PackQueryHead<T>(args, s, sequence, h, scale_log2, buffer);
      for (int64_t j = 0; j < s.tiles; ++j) {
        DifferentiateTile<true>(s, buffer, j, j, scale_log2);
        for (int64_t i = j + 1; i < s.end_query_tile(j); ++i) {
          DifferentiateTile<false>(s, buffer, i, j, scale_log2);
        }
      }
      UnpackRows(s, buffer.dqueries, s.length, s.width,
                 static_cast<float>(s.scale), dqkv + s.query(h));
    }
    UnpackRows(s, buffer.dkeys, s.length, s.width,
               Buffer::KeyGradientFactor(s.scale), dqkv + s.key(kv));
    UnpackRows(s, buffer.dvalues, s.length, s.width, 1.0f, dqkv + s.value(kv));
  }
}

int64_t BackwardBufferSize(const AttentionSizes& s,
                           [[maybe_unused]] DType dtype) {
#if EISBACH_ATTENTION_PAIRS
  if (dtype == DType::kBF16 && MultipliesPairs()) {
    return PairBackwardBuffer::Size(s);
  }
#endif
  return BackwardBuffer::Size(s);
}

absl::Status RunBackwardTasks(const AttentionBackwardArgs& args,
                              const Sequence& sequence, int64_t begin,
                              int64_t end, float* base) {
#if EISBACH_ATTENTION_PAIRS
  if (args.qkv.dtype() == DType::kBF16 && MultipliesPairs()) {
    BackwardTasks<BFloat16, PairBackwardBuffer>(args, sequence, begin, end,
                                                base);
    return absl::OkStatus();
  }
#endif
  return DispatchFloat(args.qkv.dtype(), "attention_backward", [&](auto zero) {
    BackwardTasks<decltype(zero), BackwardBuffer>(args, sequence, begin, end,
                                                  base);
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops::cpu {
namespace {

HWY_EXPORT(BackwardBufferSize);
HWY_EXPORT(RunBackwardTasks);

absl::Status AttentionBackwardCpu(const AttentionBackwardArgs& args,
                                  Stream& stream) {
  const std::vector<Sequence> sequences =
      SequencesOf(args.qkv, args.options.starts);
  if (sequences.empty()) return absl::OkStatus();
  const AttentionSizes longest(args.heads, args.options, LongestOf(sequences));
  const auto tasks = [&](const Sequence&) { return args.heads.kv_heads; };
  EISBACH_ASSIGN_OR_RETURN(
      const ThreadBuffers buffers,
      ThreadBuffers::Make(
          stream.device(), CountTasks(sequences, tasks),
          HWY_DYNAMIC_DISPATCH(BackwardBufferSize)(longest, args.qkv.dtype())));
  ParallelTasks(sequences, tasks,
                [&](const Sequence& sequence, int64_t begin, int64_t end) {
                  // The op has checked the dtype.
                  HWY_DYNAMIC_DISPATCH(RunBackwardTasks)
                  (args, sequence, begin, end, buffers.Mine()).IgnoreError();
                });
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(AttentionBackwardSlot, DeviceType::kCpu,
                        &AttentionBackwardCpu);

}  // namespace
}  // namespace eisbach::ops::cpu
#endif  // HWY_ONCE
