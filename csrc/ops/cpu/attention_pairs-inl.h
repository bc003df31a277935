// Attention's operands in bf16, two to an element, for processors that multiply
// pairs and add in f32 (AVX512-BF16, which Highway 1.0.3 does not know). Sums
// and softmax stay in f32; weights and gradients of scores are rounded once,
// before they are multiplied. Included by foreach_target files, once a target.

#include "core/cpu_features.h"
#include "ops/cpu/attention_tile.h"

// clang-format off
#if defined(EISBACH_OPS_CPU_ATTENTION_PAIRS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef EISBACH_OPS_CPU_ATTENTION_PAIRS_INL_H_
#undef EISBACH_OPS_CPU_ATTENTION_PAIRS_INL_H_
#else
#define EISBACH_OPS_CPU_ATTENTION_PAIRS_INL_H_
#endif
// clang-format on

#include "hwy/highway.h"
#include "ops/cpu/attention_tile-inl.h"

#undef EISBACH_ATTENTION_PAIRS
#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
#define EISBACH_ATTENTION_PAIRS 1
#else
#define EISBACH_ATTENTION_PAIRS 0
#endif

#if EISBACH_ATTENTION_PAIRS

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {

// Whether this processor has the instructions below.
inline bool MultipliesPairs() {
  static const bool multiplies = [] {
    const std::vector<std::string> features = CpuFeatures();
    return std::find(features.begin(), features.end(), "avx512_bf16") !=
           features.end();
  }();
  return multiplies;
}

using Pair = uint32_t;  // the first value in the lower half
using Pairs = hn::ScalableTag<Pair>;
using Halves = hn::Rebind<uint16_t, Floats>;

struct PairTerms {
  using Element = Pair;
  using Vector = hn::Vec<Pairs>;
  static constexpr int64_t kTerms = 2;
  static HWY_INLINE Vector Load(const Element* p) {
    return hn::LoadU(Pairs(), p);
  }
  static HWY_INLINE Vector Set(Element x) { return hn::Set(Pairs(), x); }
  static HWY_INLINE FloatVector MulAdd(Vector a, Vector b, FloatVector sum) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
  }
};

// To nearest even; NaN stays NaN, and numbers below 2^-126 become 0.
HWY_INLINE hn::Vec<Halves> RoundToBFloat16(FloatVector v) {
  hn::Vec<Halves> rounded;
  asm("vcvtneps2bf16 %1, %0" : "=v"(rounded.raw) : "v"(v.raw));
  return rounded;
}

HWY_INLINE hn::Vec<Pairs> Interleave(hn::Vec<Halves> first,
                                     hn::Vec<Halves> second) {
  return hn::Or(hn::PromoteTo(Pairs(), first),
                hn::ShiftLeft<16>(hn::PromoteTo(Pairs(), second)));
}

// A row of weights as pairs of keys.
inline constexpr int64_t kPairTileStride = kTile / 2 + kPadding;

// Pairs of a head, and the distance of its rows in a buffer.
inline int64_t HeadPairs(const AttentionSizes& s) {
  return (s.head_dim + 1) / 2;
}
inline int64_t PairStride(const AttentionSizes& s) {
  return (RoundUp(HeadPairs(s), kPadding) / kPadding | 1) * kPadding;
}

// `rows` heads that lie `ld` apart as rows of HeadPairs pairs.
inline void PackPairs(const AttentionSizes& s, const BFloat16* from, int64_t ld,
                      int64_t rows, Pair* to) {
  for (int64_t i = 0; i < rows; ++i, from += ld, to += PairStride(s)) {
    if (i + kPrefetchRows < rows) {
      PrefetchHead(from + kPrefetchRows * ld, s.head_dim);
    }
    to[HeadPairs(s) - 1] = 0;
    std::memcpy(to, from, s.head_dim * sizeof(BFloat16));
  }
}

// Rows of PackPairs, a tile, to columns: to[p, i] = from[i, p].
inline void TransposePairs(const AttentionSizes& s, const Pair* from,
                           int64_t rows, Pair* to) {
  TransposeTile(reinterpret_cast<const float*>(from), PairStride(s), rows,
                HeadPairs(s), reinterpret_cast<float*>(to));
}

// Two heads one after the other to a row of pairs, for each column one of both;
// zeros where there is no second, and to the end of the last vector.
inline void PackRowPairs(const AttentionSizes& s, const BFloat16* from,
                         int64_t ld, int64_t rows, Pair* to) {
  const auto load = [&](int64_t row, int64_t j) HWY_ATTR {
    const auto* p = reinterpret_cast<const uint16_t*>(from + row * ld) + j;
    const Halves d;
    const int64_t left = s.head_dim - j;
    if (row >= rows) return hn::Zero(d);
    if (left >= static_cast<int64_t>(hn::Lanes(d))) return hn::LoadU(d, p);
    return hn::MaskedLoad(hn::FirstN(d, left), d, p);
  };
  const int64_t columns = Columns(s), lanes = hn::Lanes(Pairs());
  for (int64_t i = 0; i < rows; i += 2, to += s.stride) {
    if (i + kPrefetchRows + 1 < rows) {
      PrefetchHead(from + (i + kPrefetchRows) * ld, s.head_dim);
      PrefetchHead(from + (i + kPrefetchRows + 1) * ld, s.head_dim);
    }
    for (int64_t j = 0; j < columns; j += lanes) {
      hn::StoreU(Interleave(load(i, j), load(i + 1, j)), Pairs(), to + j);
    }
  }
}

// A row of a tile as pairs of columns.
HWY_INLINE void RoundRow(const float* HWY_RESTRICT from,
                         Pair* HWY_RESTRICT to) {
  auto* halves = reinterpret_cast<uint16_t*>(to);
  for (int64_t j = 0; j < kTile; j += hn::Lanes(Floats())) {
    hn::StoreU(RoundToBFloat16(hn::LoadU(Floats(), from + j)), Halves(),
               halves + j);
  }
}

// `rows` rows of a tile as pairs of rows; an odd last one is paired with zeros.
inline void RoundRowPairs(const float* HWY_RESTRICT from, int64_t rows,
                          Pair* HWY_RESTRICT to) {
  for (int64_t i = 0; i < rows; i += 2, from += 2 * kTileStride) {
    for (int64_t j = 0; j < kTile; j += hn::Lanes(Floats())) {
      const auto first = RoundToBFloat16(hn::LoadU(Floats(), from + j));
      const auto second =
          i + 1 < rows
              ? RoundToBFloat16(hn::LoadU(Floats(), from + kTileStride + j))
              : hn::Zero(Halves());
      hn::StoreU(Interleave(first, second), Pairs(), to + j);
    }
    to += kTileStride;
  }
}

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // EISBACH_ATTENTION_PAIRS

#endif  // per-target include guard
