#include <cmath>
#include <numbers>
#include <utility>

#include "ops/cpu/attention_part.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/attention_part_backward.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "ops/cpu/attention_scores-inl.h"
#include "ops/cpu/attention_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {

// A thread's buffer, f32. For one key/value head: keys, both gradients, summed
// over the query heads that share them, [T, D]; keys and values in tiles of
// [D, kTile]. For a tile of one query head: queries, dout and dqueries, scores'
// weights and gradients, and per row lse in units of log2 and
// delta = sum(dout * out).
struct PartBackwardBuffer {
  PartBackwardBuffer(float* base, const PartSizes& p, const AttentionSizes& s) {
    const auto take = [&base](int64_t floats) {
      return std::exchange(base, base + floats);
    };
    const int64_t whole = p.key_tiles * kTile * s.stride;
    const int64_t transposed = p.key_tiles * s.head_dim * kTileStride;
    keys = take(whole);
    dkeys = take(whole);
    dvalues = take(whole);
    keys_t = take(transposed);
    values_t = take(transposed);
    queries = take(kTile * s.stride);
    dout = take(kTile * s.stride);
    dqueries = take(kTile * s.stride);
    weights = take(kTile * kTileStride);
    dscores = take(kTile * kTileStride);
    lse = take(kTile);
    delta = take(kTile);
    end = base;
  }

  float *keys, *dkeys, *dvalues, *keys_t, *values_t;
  float *queries, *dout, *dqueries, *weights, *dscores, *lse, *delta, *end;
};

template <typename T>
void PackPartKeys(const AttentionPartBackwardArgs& args, const PartSizes& p,
                  const AttentionSizes& s, int64_t batch, int64_t kv,
                  const PartBackwardBuffer& buffer) {
  const T* keys = args.keys_values.data<T>() +
                  (batch * p.key_rows + p.keys.row) * p.key_width +
                  kv * s.head_dim;
  const T* values = keys + s.heads.kv_heads * s.head_dim;
  PackRows(s, keys, p.key_width, p.keys.count, 1.0f, buffer.keys);
  for (int64_t t = 0; t < p.key_tiles; ++t) {
    const int64_t rows = p.tile_keys(t), to = t * s.head_dim * kTileStride;
    TransposeTile(buffer.keys + t * kTile * s.stride, s.stride, rows,
                  s.head_dim, buffer.keys_t + to);
    // The queries come later.
    PackRows(s, values + t * kTile * p.key_width, p.key_width, rows, 1.0f,
             buffer.queries);
    TransposeTile(buffer.queries, s.stride, rows, s.head_dim,
                  buffer.values_t + to);
  }
  std::fill_n(buffer.dkeys, p.keys.count * s.stride, 0.0f);
  std::fill_n(buffer.dvalues, p.keys.count * s.stride, 0.0f);
}

template <typename T>
void PackPartQueries(const AttentionPartBackwardArgs& args, const PartSizes& p,
                     const AttentionSizes& s, int64_t batch, int64_t head,
                     int64_t tile, const PartBackwardBuffer& buffer) {
  const Floats d;
  const int64_t rows = p.tile_queries(tile);
  const int64_t row = batch * p.query_rows + p.queries.row + tile * kTile;
  const int64_t out_width = s.heads.heads * s.head_dim;
  const int64_t out_offset = row * out_width + head * s.head_dim;
  PackRows(s, args.qkv.data<T>() + row * s.width + s.query(head), s.width, rows,
           s.scale_log2(), buffer.queries);
  PackRows(s, args.dout.data<T>() + out_offset, out_width, rows, 1.0f,
           buffer.dout);
  float* out = buffer.dqueries;  // zeroed below
  PackRows(s, args.out.data<T>() + out_offset, out_width, rows, 1.0f, out);
  const float* lse = args.lse.data<float>() +
                     (batch * s.heads.heads + head) * p.query_rows +
                     p.queries.row + tile * kTile;
  for (int64_t i = 0; i < rows; ++i) {
    auto sum = hn::Zero(d);
    for (int64_t j = 0; j < s.head_dim; j += hn::Lanes(d)) {
      sum = hn::MulAdd(hn::LoadU(d, out + i * s.stride + j),
                       hn::LoadU(d, buffer.dout + i * s.stride + j), sum);
    }
    buffer.delta[i] = hn::GetLane(hn::SumOfLanes(d, sum));
    buffer.lse[i] = static_cast<float>(lse[i] * std::numbers::log2e);
  }
  std::fill_n(buffer.dqueries, rows * s.stride, 0.0f);
}

// Adds what the packed query tile and key tile `t` give to the gradients.
inline void DifferentiatePartTile(const PartSizes& p, const AttentionSizes& s,
                                  int64_t batch, int64_t tile, int64_t t,
                                  const PartBackwardBuffer& buffer) {
  const int64_t rows = p.tile_queries(tile), keys = p.tile_keys(t);
  const int64_t columns = Columns(s), key_row = t * kTile * s.stride;
  const int64_t transposed = t * s.head_dim * kTileStride;
  TileProduct<Part::kAll, false>(rows, kTile, s.head_dim, buffer.queries,
                                 s.stride, buffer.keys_t + transposed,
                                 kTileStride, false, buffer.weights,
                                 kTileStride);
  TileProduct<Part::kAll, false>(rows, kTile, s.head_dim, buffer.dout, s.stride,
                                 buffer.values_t + transposed, kTileStride,
                                 false, buffer.dscores, kTileStride);
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t q = tile * kTile + i;
    const auto column = [&](int64_t key) {
      return std::clamp<int64_t>(key - t * kTile, 0, kTile);
    };
    const int64_t hidden = column(p.first_key(batch, q));
    const int64_t visible = column(p.end_key(q));
    float* weights = buffer.weights + i * kTileStride;
    float* dscores = buffer.dscores + i * kTileStride;
    if (s.cap == 0) {
      DifferentiateRow<false>(weights, dscores, hidden, visible, 1.0f, 0,
                              buffer.lse[i], buffer.delta[i]);
    } else {
      DifferentiateRow<true>(weights, dscores, hidden, visible, 1.0f,
                             static_cast<float>(s.cap * std::numbers::log2e),
                             buffer.lse[i], buffer.delta[i]);
    }
  }
  TileProduct<Part::kAll, true>(keys, columns, rows, buffer.weights,
                                kTileStride, buffer.dout, s.stride, true,
                                buffer.dvalues + key_row, s.stride);
  TileProduct<Part::kAll, true>(keys, columns, rows, buffer.dscores,
                                kTileStride, buffer.queries, s.stride, true,
                                buffer.dkeys + key_row, s.stride);
  TileProduct<Part::kAll, false>(rows, columns, keys, buffer.dscores,
                                 kTileStride, buffer.keys + key_row, s.stride,
                                 true, buffer.dqueries, s.stride);
}

// to += factor * from, `rows` rows that lie `ld` apart.
inline void AddRows(const AttentionSizes& s, const float* from, int64_t rows,
                    float factor, float* to, int64_t ld) {
  for (int64_t i = 0; i < rows; ++i, from += s.stride, to += ld) {
    for (int64_t j = 0; j < s.head_dim; ++j) to[j] += factor * from[j];
  }
}

// Tasks [begin, end) of [batch, key/value head].
template <typename T>
void PartBackwardTasks(const AttentionPartBackwardArgs& args, int64_t begin,
                       int64_t end, float* base) {
  const PartSizes p(args);
  const AttentionSizes s(args.heads, args.options, p.queries.count);
  const PartBackwardBuffer buffer(base, p, s);
  const int64_t out_width = s.heads.heads * s.head_dim;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t kv = task % s.heads.kv_heads;
    const int64_t batch = task / s.heads.kv_heads;
    PackPartKeys<T>(args, p, s, batch, kv, buffer);
    for (int64_t h = s.first_query(kv); h < s.last_query(kv); ++h) {
      for (int64_t tile = 0; tile < p.query_tiles; ++tile) {
        PackPartQueries<T>(args, p, s, batch, h, tile, buffer);
        for (int64_t t = p.begin_tile(batch, tile); t < p.end_tile(tile); ++t) {
          DifferentiatePartTile(p, s, batch, tile, t, buffer);
        }
        const int64_t row = batch * p.query_rows + p.queries.row + tile * kTile;
        AddRows(s, buffer.dqueries, p.tile_queries(tile),
                static_cast<float>(s.scale),
                args.dqueries.data<float>() + row * out_width + h * s.head_dim,
                out_width);
      }
    }
    float* dkeys = args.dkeys_values.data<float>() +
                   (batch * p.key_rows + p.keys.row) * p.key_width +
                   kv * s.head_dim;
    // Queries carry the scale and log2(e), of which this gradient needs only
    // the first.
    AddRows(s, buffer.dkeys, p.keys.count,
            static_cast<float>(std::numbers::ln2), dkeys, p.key_width);
    AddRows(s, buffer.dvalues, p.keys.count, 1.0f,
            dkeys + s.heads.kv_heads * s.head_dim, p.key_width);
  }
}

absl::Status RunPartBackwardTasks(const AttentionPartBackwardArgs& args,
                                  int64_t begin, int64_t end, float* base) {
  return DispatchFloat(
      args.qkv.dtype(), "attention_part_backward", [&](auto zero) {
        PartBackwardTasks<decltype(zero)>(args, begin, end, base);
        return absl::OkStatus();
      });
}

int64_t PartBackwardFloats(const AttentionPartBackwardArgs& args) {
  const PartSizes p(args);
  const AttentionSizes s(args.heads, args.options, p.queries.count);
  return PartBackwardBuffer(nullptr, p, s).end - static_cast<float*>(nullptr);
}

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops::cpu {
namespace {

HWY_EXPORT(PartBackwardFloats);
HWY_EXPORT(RunPartBackwardTasks);

absl::Status AttentionPartBackwardCpu(const AttentionPartBackwardArgs& args,
                                      Stream& stream) {
  const int64_t tasks = args.qkv.dim(0) * args.heads.kv_heads;
  if (tasks == 0) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(
      const ThreadBuffers buffers,
      ThreadBuffers::Make(stream.device(), tasks,
                          HWY_DYNAMIC_DISPATCH(PartBackwardFloats)(args)));
  eisbach::cpu::ParallelFor(tasks, 1, [&](int64_t begin, int64_t end) {
    // The op has checked the dtype.
    HWY_DYNAMIC_DISPATCH(RunPartBackwardTasks)
    (args, begin, end, buffers.Mine()).IgnoreError();
  });
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(AttentionPartBackwardSlot, DeviceType::kCpu,
                        &AttentionPartBackwardCpu);

}  // namespace
}  // namespace eisbach::ops::cpu
#endif  // HWY_ONCE
