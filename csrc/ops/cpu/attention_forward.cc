#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "ops/cpu/attention_sequences.h"
#include "ops/cpu/attention_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/attention_forward.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "ops/cpu/attention_pairs-inl.h"
#include "ops/cpu/attention_scores-inl.h"
#include "ops/cpu/attention_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {

// A thread's buffer: keys (tiles of [D, kTile]) and values ([T, D]) of one
// key/value head, one tile of queries, scores and output, and each row's
// maximum and running sum (a vector, added up at the end).
struct ForwardBuffer {
  ForwardBuffer(float* base, const AttentionSizes& s) {
    keys_t = base;
    values = keys_t + s.tiles * s.head_dim * kTileStride;
    queries = values + s.tiles * kTile * s.stride;
    output = queries + kTile * s.stride;
    scores = output + kTile * s.stride;
    maximum = scores + kTile * kTileStride;
    sum = maximum + kTile;
  }
  static int64_t Size(const AttentionSizes& s) {
    return s.tiles * s.head_dim * kTileStride +
           (s.tiles + 2) * kTile * s.stride + kTile * kTileStride + kTile +
           kTile * kPadding;
  }

  float *keys_t, *values, *queries, *output, *scores, *maximum, *sum;
};

// The same for row `row` of query tile `tile` and key tile `t`, with the cap.
template <class Buffer>
HWY_INLINE float WeighRow(const AttentionSizes& s, const Buffer& buffer,
                          int64_t tile, int64_t row, int64_t t, float scale) {
  float* scores = buffer.scores + row * kTileStride;
  const int64_t visible = t == tile ? row + 1 : kTile;
  if (s.cap != 0) {
    CapRow(scores, visible, scale, s.cap);
    scale = 1.0f;
  }
  return SoftmaxRow(scores, s.columns_before_window(tile, row, t), visible,
                    scale, buffer.maximum + row, buffer.sum + row * kPadding);
}

// All key tiles that it sees, up to the diagonal, for the packed query tile
// `tile`, whose queries carry the scale already.
inline void AttendTile(const AttentionSizes& s, const ForwardBuffer& buffer,
                       int64_t tile, float /*scale*/) {
  const int64_t rows = s.tile_rows(tile), columns = Columns(s);
  std::fill_n(buffer.maximum, rows, kHidden);
  std::fill_n(buffer.sum, rows * kPadding, 0.0f);
  const int64_t begin = s.first_key_tile(tile);
  for (int64_t t = begin; t <= tile; ++t) {
    const float* keys_t = buffer.keys_t + t * s.head_dim * kTileStride;
    const float* values = buffer.values + t * kTile * s.stride;
    const bool diagonal = t == tile;
    const auto score = diagonal ? &TileProduct<Part::kColumnsToRow, false>
                                : &TileProduct<Part::kAll, false>;
    const auto sum_values = diagonal ? &TileProduct<Part::kTermsToRow, false>
                                     : &TileProduct<Part::kAll, false>;
    score(rows, kTile, s.head_dim, buffer.queries, s.stride, keys_t,
          kTileStride, false, buffer.scores, kTileStride);
    for (int64_t i = 0; i < rows; ++i) {
      const float factor = WeighRow(s, buffer, tile, i, t, 1.0f);
      if (t > begin && factor != 1.0f) {
        ScaleRow(buffer.output + i * s.stride, columns, factor);
      }
    }
    sum_values(rows, columns, s.tile_rows(t), buffer.scores, kTileStride,
               values, s.stride, t > begin, buffer.output, s.stride);
  }
}

template <typename T>
void PackKeysAndValues(const AttentionSizes& s, const T* qkv, int64_t kv,
                       const ForwardBuffer& buffer) {
  for (int64_t t = 0; t < s.tiles; ++t) {
    const int64_t rows = s.tile_rows(t);
    const T* first = qkv + t * kTile * s.width;
    PackRows(s, first + s.key(kv), s.width, rows, 1.0f, buffer.output);
    TransposeTile(buffer.output, s.stride, rows, s.head_dim,
                  buffer.keys_t + t * s.head_dim * kTileStride);
    PackRows(s, first + s.value(kv), s.width, rows, 1.0f,
             buffer.values + t * kTile * s.stride);
  }
}

template <typename T>
void PackQueries(const AttentionSizes& s, const T* queries, int64_t rows,
                 float scale, const ForwardBuffer& buffer) {
  PackRows(s, queries, s.width, rows, scale, buffer.queries);
}

#if EISBACH_ATTENTION_PAIRS

// The same in bf16: keys in tiles of [D / 2, kTile] pairs, values in rows of
// pairs of rows, a tile of queries and of weights; scores are not scaled.
struct PairForwardBuffer {
  PairForwardBuffer(float* base, const AttentionSizes& s) {
    const auto take = [&base](int64_t floats) {
      return std::exchange(base, base + floats);
    };
    const auto pairs = [&](int64_t count) {
      return reinterpret_cast<Pair*>(take(count));
    };
    keys_t = pairs(s.tiles * HeadPairs(s) * kTileStride);
    values = pairs(s.tiles * kTile / 2 * s.stride);
    queries = pairs(kTile * PairStride(s));
    weights = pairs(kTile * kPairTileStride);
    output = take(kTile * s.stride);
    scores = take(kTile * kTileStride);
    maximum = take(kTile);
    sum = take(kTile * kPadding);
    end = base;
  }
  static int64_t Size(const AttentionSizes& s) {
    return PairForwardBuffer(nullptr, s).end - static_cast<float*>(nullptr);
  }

  Pair *keys_t, *values, *queries, *weights;
  float *output, *scores, *maximum, *sum, *end;
};

inline void AttendTile(const AttentionSizes& s, const PairForwardBuffer& buffer,
                       int64_t tile, float scale) {
  const int64_t rows = s.tile_rows(tile), columns = Columns(s);
  std::fill_n(buffer.maximum, rows, kHidden);
  std::fill_n(buffer.sum, rows * kPadding, 0.0f);
  const int64_t begin = s.first_key_tile(tile);
  for (int64_t t = begin; t <= tile; ++t) {
    const bool diagonal = t == tile;
    const auto score = diagonal
                           ? &TileProduct<Part::kColumnsToRow, false, PairTerms>
                           : &TileProduct<Part::kAll, false, PairTerms>;
    const auto sum_values =
        diagonal ? &TileProduct<Part::kTermsToRow, false, PairTerms>
                 : &TileProduct<Part::kAll, false, PairTerms>;
    score(rows, kTile, HeadPairs(s), buffer.queries, PairStride(s),
          buffer.keys_t + t * HeadPairs(s) * kTileStride, kTileStride, false,
          buffer.scores, kTileStride);
    for (int64_t i = 0; i < rows; ++i) {
      const float factor = WeighRow(s, buffer, tile, i, t, scale);
      RoundRow(buffer.scores + i * kTileStride,
               buffer.weights + i * kPairTileStride);
      if (t > begin && factor != 1.0f) {
        ScaleRow(buffer.output + i * s.stride, columns, factor);
      }
    }
    sum_values(rows, columns, (s.tile_rows(t) + 1) / 2, buffer.weights,
               kPairTileStride, buffer.values + t * kTile / 2 * s.stride,
               s.stride, t > begin, buffer.output, s.stride);
  }
}

inline void PackKeysAndValues(const AttentionSizes& s, const BFloat16* qkv,
                              int64_t kv, const PairForwardBuffer& buffer) {
  for (int64_t t = 0; t < s.tiles; ++t) {
    const int64_t rows = s.tile_rows(t);
    const BFloat16* first = qkv + t * kTile * s.width;
    // The queries come later.
    PackPairs(s, first + s.key(kv), s.width, rows, buffer.queries);
    TransposePairs(s, buffer.queries, rows,
                   buffer.keys_t + t * HeadPairs(s) * kTileStride);
    PackRowPairs(s, first + s.value(kv), s.width, rows,
                 buffer.values + t * kTile / 2 * s.stride);
  }
}

inline void PackQueries(const AttentionSizes& s, const BFloat16* queries,
                        int64_t rows, float /*scale*/,
                        const PairForwardBuffer& buffer) {
  PackPairs(s, queries, s.width, rows, buffer.queries);
}

#endif  // EISBACH_ATTENTION_PAIRS

template <typename T, class Buffer>
void StoreTile(const AttentionSizes& s, const Buffer& buffer, int64_t rows,
               T* out, float* lse) {
  const Floats d;
  for (int64_t i = 0; i < rows; ++i) {
    const float sum =
        hn::GetLane(hn::SumOfLanes(d, hn::LoadU(d, buffer.sum + i * kPadding)));
    UnpackRows(s, buffer.output + i * s.stride, 1, 0, 1.0f / sum,
               out + i * s.heads.heads * s.head_dim);
    lse[i] = static_cast<float>(buffer.maximum[i] * std::numbers::ln2 +
                                std::log(static_cast<double>(sum)));
  }
}

// Tiles in an order in which any stretch of it is about equally long: shortest,
// longest, second shortest, ...
inline int64_t BalancedTile(int64_t i, int64_t tiles) {
  return i % 2 == 0 ? i / 2 : tiles - 1 - i / 2;
}

// Tasks [begin, end) of [head, tile] of a sequence.
template <typename T, class Buffer>
void ForwardTasks(const AttentionForwardArgs& args, const Sequence& sequence,
                  int64_t begin, int64_t end, float* base) {
  const AttentionSizes s(args.heads, args.options, sequence.length);
  const Buffer buffer(base, s);
  const int64_t row = sequence.batch * args.qkv.dim(1) + sequence.first;
  const T* qkv = args.qkv.data<T>() + row * s.width;
  int64_t packed = -1;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t tile = BalancedTile(task % s.tiles, s.tiles);
    const int64_t head = task / s.tiles;
    const int64_t kv = s.heads.kv_head_of(head);
    if (packed != kv) {
      PackKeysAndValues(s, qkv, kv, buffer);
      packed = kv;
    }
    const int64_t first = tile * kTile, rows = s.tile_rows(tile);
    PackQueries(s, qkv + first * s.width + s.query(head), rows, s.scale_log2(),
                buffer);
    AttendTile(s, buffer, tile, s.scale_log2());
    T* out = args.out.data<T>() +
             ((row + first) * s.heads.heads + head) * s.head_dim;
    float* lse = args.lse.data<float>() +
                 (sequence.batch * s.heads.heads + head) * args.qkv.dim(1) +
                 sequence.first + first;
    StoreTile(s, buffer, rows, out, lse);
  }
}

int64_t ForwardBufferSize(const AttentionSizes& s,
                          [[maybe_unused]] DType dtype) {
#if EISBACH_ATTENTION_PAIRS
  if (dtype == DType::kBF16 && MultipliesPairs()) {
    return PairForwardBuffer::Size(s);
  }
#endif
  return ForwardBuffer::Size(s);
}

absl::Status RunForwardTasks(const AttentionForwardArgs& args,
                             const Sequence& sequence, int64_t begin,
                             int64_t end, float* base) {
#if EISBACH_ATTENTION_PAIRS
  if (args.qkv.dtype() == DType::kBF16 && MultipliesPairs()) {
    ForwardTasks<BFloat16, PairForwardBuffer>(args, sequence, begin, end, base);
    return absl::OkStatus();
  }
#endif
  return DispatchFloat(args.qkv.dtype(), "attention_forward", [&](auto zero) {
    ForwardTasks<decltype(zero), ForwardBuffer>(args, sequence, begin, end,
                                                base);
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops::cpu {
namespace {

HWY_EXPORT(ForwardBufferSize);
HWY_EXPORT(RunForwardTasks);

absl::Status AttentionForwardCpu(const AttentionForwardArgs& args,
                                 Stream& stream) {
  const std::vector<Sequence> sequences =
      SequencesOf(args.qkv, args.options.starts);
  if (sequences.empty()) return absl::OkStatus();
  const AttentionSizes longest(args.heads, args.options, LongestOf(sequences));
  const auto tasks = [&](const Sequence& s) {
    return args.heads.heads * ((s.length + kTile - 1) / kTile);
  };
  EISBACH_ASSIGN_OR_RETURN(
      const ThreadBuffers buffers,
      ThreadBuffers::Make(
          stream.device(), CountTasks(sequences, tasks),
          HWY_DYNAMIC_DISPATCH(ForwardBufferSize)(longest, args.qkv.dtype())));
  ParallelTasks(sequences, tasks,
                [&](const Sequence& sequence, int64_t begin, int64_t end) {
                  // The op has checked the dtype.
                  HWY_DYNAMIC_DISPATCH(RunForwardTasks)
                  (args, sequence, begin, end, buffers.Mine()).IgnoreError();
                });
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(AttentionForwardSlot, DeviceType::kCpu,
                        &AttentionForwardCpu);

}  // namespace
}  // namespace eisbach::ops::cpu
#endif  // HWY_ONCE
