#include "ops/cached_attention.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/status_macros.h"
#include "device/cpu/parallel_for.h"
#include "ops/cpu/attention_tile.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/cached_attention.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/row_softmax-inl.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"
#include "ops/cpu/tanh-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

using cpu::AttentionSizes;
using cpu::kPadding;
using cpu::kTile;
using cpu::RoundUp;
using cpu::ThreadBuffers;

// What a thread keeps of the query heads that share a key/value head: the
// query, scaled, and the sum of weighted values; then the scores of a tile.
struct QueryBuffer {
  QueryBuffer(float* base, int64_t group, int64_t head_dim)
      : stride(RoundUp(head_dim, kPadding)),
        queries(base),
        sums(queries + group * stride),
        maxima(sums + group * stride),
        totals(maxima + group),
        scores(totals + group) {}
  static int64_t Size(int64_t group, int64_t head_dim) {
    return group * (2 * RoundUp(head_dim, kPadding) + 2) + kTile;
  }

  int64_t stride;
  float *queries, *sums, *maxima, *totals, *scores;
};

// scores[j] = query · keys[j] for `count` rows of `dim`, four at a time.
template <typename T>
HWY_INLINE void Scores(const float* query, const T* keys, int64_t dim,
                       int64_t count, float* scores) {
  const DF d;
  int64_t j = 0;
  for (; j + 4 <= count; j += 4, keys += 4 * dim) {
    VF s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    ForEachVector(0, dim, [&](int64_t i, auto lanes) HWY_ATTR {
      const VF q = Load(query + i);  // zeros past the head
      s0 = hn::MulAdd(q, Load(keys + i, lanes), s0);
      s1 = hn::MulAdd(q, Load(keys + dim + i, lanes), s1);
      s2 = hn::MulAdd(q, Load(keys + 2 * dim + i, lanes), s2);
      s3 = hn::MulAdd(q, Load(keys + 3 * dim + i, lanes), s3);
    });
    scores[j] = hn::GetLane(hn::SumOfLanes(d, s0));
    scores[j + 1] = hn::GetLane(hn::SumOfLanes(d, s1));
    scores[j + 2] = hn::GetLane(hn::SumOfLanes(d, s2));
    scores[j + 3] = hn::GetLane(hn::SumOfLanes(d, s3));
  }
  for (; j < count; ++j, keys += dim) {
    VF s = hn::Zero(d);
    ForEachVector(0, dim, [&](int64_t i, auto lanes) HWY_ATTR {
      s = hn::MulAdd(Load(query + i), Load(keys + i, lanes), s);
    });
    scores[j] = hn::GetLane(hn::SumOfLanes(d, s));
  }
}

// cap * tanh(score / cap).
HWY_INLINE void CapScores(float cap, int64_t count, float* scores) {
  const DF d;
  const VF by = Splat(1 / cap);
  ForEachVector(0, count, [&](int64_t j, auto lanes) HWY_ATTR {
    const VF x = hn::Mul(Load(scores + j, lanes), by);
    const VF e = ExpKeepNaN(hn::Mul(hn::Abs(x), Splat(-2.0f)));
    Store(hn::Mul(Splat(cap), TanhBy(d, x, e)), scores + j, lanes);
  });
}

// Adds the values of a tile, weighted by its scores, to a query's sum.
template <typename T>
HWY_INLINE void AddTile(const T* values, int64_t dim, int64_t count,
                        float* scores, float& maximum, float& total,
                        float* sums) {
  const float largest = std::max(maximum, RowMax(scores, count));
  const VF m = Splat(largest);
  const float factor = hn::GetLane(ExpKeepNaN(hn::Sub(Splat(maximum), m)));
  VF sum = hn::Zero(DF());
  ForEachVector(0, count, [&](int64_t j, auto lanes) HWY_ATTR {
    const VF weight = ExpKeepNaN(hn::Sub(Load(scores + j, lanes), m));
    Store(weight, scores + j, lanes);
    sum = hn::Add(sum, Covered(weight, hn::Zero(DF()), lanes));
  });
  maximum = largest;
  total = total * factor + hn::GetLane(hn::SumOfLanes(DF(), sum));
  const VF f = Splat(factor);
  ForEachVector(0, dim, [&](int64_t i, auto lanes) HWY_ATTR {
    VF a = hn::Mul(Load(sums + i), f), b = hn::Zero(DF());
    int64_t j = 0;
    for (; j + 2 <= count; j += 2) {
      a = hn::MulAdd(Splat(scores[j]), Load(values + j * dim + i, lanes), a);
      b = hn::MulAdd(Splat(scores[j + 1]),
                     Load(values + (j + 1) * dim + i, lanes), b);
    }
    if (j < count) {
      a = hn::MulAdd(Splat(scores[j]), Load(values + j * dim + i, lanes), a);
    }
    Store(hn::Add(a, b), sums + i);
  });
}

// The query heads that read key/value head `kv` for token n.
template <typename T>
void AttendToken(const CachedAttentionArgs& args, const AttentionSizes& s,
                 int64_t n, int64_t kv, float* base) {
  const int64_t dim = s.head_dim, first = s.first_query(kv);
  const int64_t group = s.last_query(kv) - first;
  if (group == 0) return;
  const QueryBuffer buffer(base, group, dim);
  const AttentionOptions& options = args.options;
  std::fill(buffer.queries, buffer.maxima, 0.0f);
  std::fill(buffer.maxima, buffer.totals,
            -std::numeric_limits<float>::infinity());
  std::fill(buffer.totals, buffer.scores, 0.0f);
  const T* row = args.qkv.data<T>() + n * s.width;
  const VF scale = Splat(static_cast<float>(s.scale));
  for (int64_t g = 0; g < group; ++g) {
    const T* query = row + s.query(first + g);
    float* scaled = buffer.queries + g * buffer.stride;
    ForEachVector(0, dim, [&](int64_t i, auto lanes) HWY_ATTR {
      Store(hn::Mul(Load(query + i, lanes), scale), scaled + i, lanes);
    });
  }
  const int64_t end = args.places.positions.data<int32_t>()[n] + 1;
  const int64_t slot = args.places.slots.data<int32_t>()[n];
  const int64_t cached =
      (slot * s.heads.kv_heads + kv) * args.cache.keys.dim(2);
  const T* keys = args.cache.keys.data<T>() + cached * dim;
  const T* values = args.cache.values.data<T>() + cached * dim;
  int64_t begin =
      options.window == 0 ? 0 : std::max<int64_t>(0, end - options.window);
  for (; begin < end; begin += kTile) {
    const int64_t count = std::min(kTile, end - begin);
    for (int64_t g = 0; g < group; ++g) {
      Scores(buffer.queries + g * buffer.stride, keys + begin * dim, dim, count,
             buffer.scores);
      if (options.cap > 0) {
        CapScores(static_cast<float>(options.cap), count, buffer.scores);
      }
      AddTile(values + begin * dim, dim, count, buffer.scores, buffer.maxima[g],
              buffer.totals[g], buffer.sums + g * buffer.stride);
    }
  }
  T* out = args.out.data<T>() + n * s.heads.heads * dim + s.query(first);
  for (int64_t g = 0; g < group; ++g, out += dim) {
    const VF by = Splat(1.0f / buffer.totals[g]);
    const float* sums = buffer.sums + g * buffer.stride;
    ForEachVector(0, dim, [&](int64_t i, auto lanes) HWY_ATTR {
      Store(hn::Mul(Load(sums + i), by), out + i, lanes);
    });
  }
}

// Keys and values of tokens [begin, end) go to their places.
template <typename T>
void Append(const CachedAttentionArgs& args, const AttentionSizes& s,
            int64_t begin, int64_t end) {
  const int64_t capacity = args.cache.keys.dim(2), dim = s.head_dim;
  for (int64_t n = begin; n < end; ++n) {
    const T* row = args.qkv.data<T>() + n * s.width;
    const int64_t slot = args.places.slots.data<int32_t>()[n];
    const int64_t position = args.places.positions.data<int32_t>()[n];
    for (int64_t kv = 0; kv < s.heads.kv_heads; ++kv) {
      const int64_t to =
          ((slot * s.heads.kv_heads + kv) * capacity + position) * dim;
      std::memcpy(static_cast<void*>(args.cache.keys.data<T>() + to),
                  row + s.key(kv), dim * sizeof(T));
      std::memcpy(static_cast<void*>(args.cache.values.data<T>() + to),
                  row + s.value(kv), dim * sizeof(T));
    }
  }
}

}  // namespace

// All keys are in their places before the first is read.
absl::Status CachedAttention(const CachedAttentionArgs& args, Stream& stream) {
  const AttentionSizes s(args.heads, args.options, args.qkv.dim(1));
  const int64_t tokens = args.qkv.dim(1);
  const int64_t tasks = s.heads.kv_heads * tokens;
  if (tasks == 0) return absl::OkStatus();
  const int64_t group = std::min(s.heads.group, s.heads.heads);
  EISBACH_ASSIGN_OR_RETURN(
      const ThreadBuffers buffers,
      ThreadBuffers::Make(stream.device(), tasks,
                          QueryBuffer::Size(group, s.head_dim)));
  return DispatchFloat(args.qkv.dtype(), "cached_attention", [&](auto zero) {
    using T = decltype(zero);
    ::eisbach::cpu::ParallelFor(tokens, 64, [&](int64_t begin, int64_t end) {
      Append<T>(args, s, begin, end);
    });
    // A thread takes heads, each for all tokens: later ones have more to do.
    ::eisbach::cpu::ParallelFor(tasks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        AttendToken<T>(args, s, task % tokens, task / tokens, buffers.Mine());
      }
    });
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(CachedAttention);
}  // namespace eisbach::ops
#endif
