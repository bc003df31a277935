// A row of scores of a tile: what softmax makes of it and its gradient.
// Included by foreach_target files, once a target.

#include <algorithm>
#include <numbers>

#include "ops/cpu/attention_tile.h"

// clang-format off
#if defined(EISBACH_OPS_CPU_ATTENTION_SCORES_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef EISBACH_OPS_CPU_ATTENTION_SCORES_INL_H_
#undef EISBACH_OPS_CPU_ATTENTION_SCORES_INL_H_
#else
#define EISBACH_OPS_CPU_ATTENTION_SCORES_INL_H_
#endif
// clang-format on

#include "hwy/highway.h"
#include "ops/cpu/attention_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {

// Scores are in units of log2, below them nothing that a real score reaches.
constexpr float kHidden = -1e30f;

// The first `visible` scores of one row, times `scale`, become capped scores in
// units of log2.
HWY_INLINE void CapRow(float* HWY_RESTRICT scores, int64_t visible, float scale,
                       double cap) {
  const Floats d;
  const auto by =
      hn::Set(d, static_cast<float>(scale / (cap * std::numbers::log2e)));
  const auto largest =
      hn::Set(d, static_cast<float>(cap * std::numbers::log2e));
  for (int64_t j = 0; j < visible; j += hn::Lanes(d)) {
    const auto score = hn::Mul(hn::LoadU(d, scores + j), by);
    hn::StoreU(hn::Mul(Tanh(d, score), largest), d, scores + j);
  }
}

// Scores of one row, times `scale`, become weights relative to the row's new
// maximum; returns the factor for what was summed before. Columns
// [hidden, visible) count, the others become zero.
HWY_INLINE float SoftmaxRow(float* HWY_RESTRICT scores, int64_t hidden,
                            int64_t visible, float scale,
                            float* HWY_RESTRICT maximum,
                            float* HWY_RESTRICT sum) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  if (hidden >= visible) {
    std::fill_n(scores, kTile, 0.0f);
    return 1.0f;
  }
  std::fill_n(scores, hidden, kHidden);
  const int64_t whole = visible / lanes * lanes;
  int64_t used = whole;
  if (whole < visible) {
    const auto mask = hn::FirstN(d, visible - whole);
    const auto tail = hn::LoadU(d, scores + whole);
    hn::StoreU(hn::IfThenElse(mask, tail, hn::Set(d, kHidden)), d,
               scores + whole);
    used += lanes;
  }
  const auto by = hn::Set(d, scale);
  auto largest = hn::Set(d, *maximum);
  for (int64_t j = 0; j < used; j += lanes) {
    largest = hn::Max(largest, hn::Mul(hn::LoadU(d, scores + j), by));
  }
  largest = hn::MaxOfLanes(d, largest);
  auto total = hn::Zero(d);
  for (int64_t j = 0; j < used; j += lanes) {
    const auto weight =
        Exp2(d, hn::MulSub(hn::LoadU(d, scores + j), by, largest));
    hn::StoreU(weight, d, scores + j);
    total = hn::Add(total, weight);
  }
  for (int64_t j = used; j < kTile; j += lanes) {
    hn::StoreU(hn::Zero(d), d, scores + j);
  }
  const auto factor = Exp2(d, hn::Sub(hn::Set(d, *maximum), largest));
  hn::StoreU(hn::MulAdd(hn::LoadU(d, sum), factor, total), d, sum);
  *maximum = hn::GetLane(largest);
  return hn::GetLane(factor);
}

// On entry `weights` holds a row of scores, to be multiplied by `scale`, and
// `dscores` one of dout · v^T; on return the softmax weights and the gradient
// of the scores. Columns outside [hidden, visible) become zero. `cap` is that
// of scores, in units of log2.
template <bool kCapped>
HWY_INLINE void DifferentiateRow(float* HWY_RESTRICT weights,
                                 float* HWY_RESTRICT dscores, int64_t hidden,
                                 int64_t visible, float scale, float cap,
                                 float lse, float delta) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  const auto row_lse = hn::Set(d, lse), row_delta = hn::Set(d, delta);
  const auto by = hn::Set(d, kCapped ? scale / cap : scale);
  int64_t j = 0;
  for (; j < visible; j += lanes) {
    auto score = hn::LoadU(d, weights + j);
    auto slope = hn::Zero(d);  // of the cap
    if constexpr (kCapped) {
      const auto bent = Tanh(d, hn::Mul(score, by));
      slope = hn::NegMulAdd(bent, bent, hn::Set(d, 1.0f));
      score = hn::Sub(hn::Mul(bent, hn::Set(d, cap)), row_lse);
    } else {
      score = hn::MulSub(score, by, row_lse);
    }
    auto p = Exp2(d, score);
    auto ds = hn::Mul(p, hn::Sub(hn::LoadU(d, dscores + j), row_delta));
    if constexpr (kCapped) ds = hn::Mul(ds, slope);
    if (j + lanes > visible) {
      const auto mask = hn::FirstN(d, visible - j);
      p = hn::IfThenElseZero(mask, p);
      ds = hn::IfThenElseZero(mask, ds);
    }
    hn::StoreU(p, d, weights + j);
    hn::StoreU(ds, d, dscores + j);
  }
  for (; j < kTile; j += lanes) {
    hn::StoreU(hn::Zero(d), d, weights + j);
    hn::StoreU(hn::Zero(d), d, dscores + j);
  }
  std::fill_n(weights, hidden, 0.0f);
  std::fill_n(dscores, hidden, 0.0f);
}

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
