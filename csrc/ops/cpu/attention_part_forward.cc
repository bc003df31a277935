#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "ops/cpu/attention_part.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/attention_part_forward.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "ops/cpu/attention_scores-inl.h"
#include "ops/cpu/attention_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {

// A thread's buffer, f32: of one key/value head keys (tiles of [D, kTile]) and
// values ([T, D]); of one tile queries, output and scores, and each row's
// maximum and running sum (a vector, added up at the end).
struct PartForwardBuffer {
  PartForwardBuffer(float* base, const PartSizes& p, const AttentionSizes& s) {
    const auto take = [&base](int64_t floats) {
      return std::exchange(base, base + floats);
    };
    keys_t = take(p.key_tiles * s.head_dim * kTileStride);
    values = take(p.key_tiles * kTile * s.stride);
    queries = take(kTile * s.stride);
    output = take(kTile * s.stride);
    scores = take(kTile * kTileStride);
    maximum = take(kTile);
    sum = take(kTile * kPadding);
    end = base;
  }

  float *keys_t, *values, *queries, *output, *scores, *maximum, *sum, *end;
};

template <typename T>
void PackPartKeys(const AttentionPartArgs& args, const PartSizes& p,
                  const AttentionSizes& s, int64_t batch, int64_t kv,
                  const PartForwardBuffer& buffer) {
  const T* keys = args.keys_values.data<T>() +
                  (batch * p.key_rows + p.keys.row) * p.key_width +
                  kv * s.head_dim;
  const T* values = keys + s.heads.kv_heads * s.head_dim;
  for (int64_t t = 0; t < p.key_tiles; ++t) {
    const int64_t rows = p.tile_keys(t), from = t * kTile * p.key_width;
    PackRows(s, keys + from, p.key_width, rows, 1.0f, buffer.output);
    TransposeTile(buffer.output, s.stride, rows, s.head_dim,
                  buffer.keys_t + t * s.head_dim * kTileStride);
    PackRows(s, values + from, p.key_width, rows, 1.0f,
             buffer.values + t * kTile * s.stride);
  }
}

// All keys that the packed tile of queries sees.
inline void AttendPartTile(const PartSizes& p, const AttentionSizes& s,
                           int64_t batch, int64_t tile,
                           const PartForwardBuffer& buffer) {
  const int64_t rows = p.tile_queries(tile), columns = Columns(s);
  std::fill_n(buffer.maximum, rows, kHidden);
  std::fill_n(buffer.sum, rows * kPadding, 0.0f);
  const int64_t begin = p.begin_tile(batch, tile), end = p.end_tile(tile);
  for (int64_t t = begin; t < end; ++t) {
    TileProduct<Part::kAll, false>(
        rows, kTile, s.head_dim, buffer.queries, s.stride,
        buffer.keys_t + t * s.head_dim * kTileStride, kTileStride, false,
        buffer.scores, kTileStride);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t q = tile * kTile + i;
      const auto column = [&](int64_t key) {
        return std::clamp<int64_t>(key - t * kTile, 0, kTile);
      };
      const int64_t hidden = column(p.first_key(batch, q));
      const int64_t visible = column(p.end_key(q));
      float* scores = buffer.scores + i * kTileStride;
      if (s.cap != 0) CapRow(scores, visible, 1.0f, s.cap);
      const float factor =
          SoftmaxRow(scores, hidden, visible, 1.0f, buffer.maximum + i,
                     buffer.sum + i * kPadding);
      if (t > begin && factor != 1.0f) {
        ScaleRow(buffer.output + i * s.stride, columns, factor);
      }
    }
    TileProduct<Part::kAll, false>(
        rows, columns, p.tile_keys(t), buffer.scores, kTileStride,
        buffer.values + t * kTile * s.stride, s.stride, t > begin,
        buffer.output, s.stride);
  }
}

// Writes or merges one row; `out` holds what the part gives, not divided by
// its `sum` yet.
HWY_INLINE void MergeRow(const AttentionSizes& s, const float* part, float sum,
                         float maximum, bool merges, float* out, float* lse) {
  constexpr float kNothing = -std::numeric_limits<float>::infinity();
  if (sum == 0) {
    if (merges) return;
    std::fill_n(out, s.head_dim, 0.0f);
    *lse = kNothing;
    return;
  }
  const double mine = maximum * std::numbers::ln2 + std::log(double{sum});
  const double before = merges ? double{*lse} : double{kNothing};
  const double top = std::max(mine, before);
  const double both =
      top + std::log(std::exp(mine - top) + std::exp(before - top));
  const float by = static_cast<float>(std::exp(mine - both) / sum);
  const float keep = static_cast<float>(std::exp(before - both));
  for (int64_t j = 0; j < s.head_dim; ++j) {
    out[j] = (merges ? keep * out[j] : 0.0f) + by * part[j];
  }
  *lse = static_cast<float>(both);
}

// Tasks [begin, end) of [batch, head, query tile].
template <typename T>
void PartTasks(const AttentionPartArgs& args, int64_t begin, int64_t end,
               float* base) {
  const Floats d;
  const PartSizes p(args);
  const AttentionSizes s(args.heads, args.options, p.queries.count);
  const PartForwardBuffer buffer(base, p, s);
  int64_t packed = -1;  // the batch and the key/value head
  for (int64_t task = begin; task < end; ++task) {
    const int64_t tile = task % p.query_tiles;
    const int64_t head = task / p.query_tiles % s.heads.heads;
    const int64_t batch = task / p.query_tiles / s.heads.heads;
    const int64_t kv = s.heads.kv_head_of(head);
    if (packed != batch * s.heads.kv_heads + kv) {
      PackPartKeys<T>(args, p, s, batch, kv, buffer);
      packed = batch * s.heads.kv_heads + kv;
    }
    const int64_t rows = p.tile_queries(tile);
    const int64_t row = p.queries.row + tile * kTile;
    const T* queries = args.qkv.data<T>() +
                       (batch * p.query_rows + row) * s.width + s.query(head);
    PackRows(s, queries, s.width, rows, s.scale_log2(), buffer.queries);
    AttendPartTile(p, s, batch, tile, buffer);
    const int64_t out_width = s.heads.heads * s.head_dim;
    float* out = args.out.data<float>() +
                 (batch * p.query_rows + row) * out_width + head * s.head_dim;
    float* lse = args.lse.data<float>() +
                 (batch * s.heads.heads + head) * p.query_rows + row;
    for (int64_t i = 0; i < rows; ++i) {
      const float sum = hn::GetLane(
          hn::SumOfLanes(d, hn::LoadU(d, buffer.sum + i * kPadding)));
      MergeRow(s, buffer.output + i * s.stride, sum, buffer.maximum[i],
               args.merges, out + i * out_width, lse + i);
    }
  }
}

absl::Status RunPartTasks(const AttentionPartArgs& args, int64_t begin,
                          int64_t end, float* base) {
  return DispatchFloat(args.qkv.dtype(), "attention_part", [&](auto zero) {
    PartTasks<decltype(zero)>(args, begin, end, base);
    return absl::OkStatus();
  });
}

int64_t PartForwardFloats(const AttentionPartArgs& args) {
  const PartSizes p(args);
  const AttentionSizes s(args.heads, args.options, p.queries.count);
  return PartForwardBuffer(nullptr, p, s).end - static_cast<float*>(nullptr);
}

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops::cpu {
namespace {

HWY_EXPORT(PartForwardFloats);
HWY_EXPORT(RunPartTasks);

absl::Status AttentionPartCpu(const AttentionPartArgs& args, Stream& stream) {
  const int64_t tasks =
      args.qkv.dim(0) * args.heads.heads * PartSizes(args).query_tiles;
  if (tasks == 0) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(
      const ThreadBuffers buffers,
      ThreadBuffers::Make(stream.device(), tasks,
                          HWY_DYNAMIC_DISPATCH(PartForwardFloats)(args)));
  eisbach::cpu::ParallelFor(tasks, 1, [&](int64_t begin, int64_t end) {
    // The op has checked the dtype.
    HWY_DYNAMIC_DISPATCH(RunPartTasks)
    (args, begin, end, buffers.Mine()).IgnoreError();
  });
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(AttentionPartSlot, DeviceType::kCpu, &AttentionPartCpu);

}  // namespace
}  // namespace eisbach::ops::cpu
#endif  // HWY_ONCE
