// The two reductions of a softmax over one row.

#include <cstdint>
#include <limits>

// clang-format off
#if defined(EISBACH_OPS_CPU_ROW_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EISBACH_OPS_CPU_ROW_SOFTMAX_INL_H_
#undef EISBACH_OPS_CPU_ROW_SOFTMAX_INL_H_
#else
#define EISBACH_OPS_CPU_ROW_SOFTMAX_INL_H_
#endif
// clang-format on

#include "ops/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {

// The largest of n elements, -infinity for none. With a NaN among them it may
// be NaN or the largest of the others: RowSumExp then tells.
template <typename T>
HWY_INLINE float RowMax(const T* x, int64_t n) {
  const VF max = FoldVectors(
      n, Splat(-std::numeric_limits<float>::infinity()),
      [](VF x, VF max) HWY_ATTR { return hn::Max(x, max); },
      [&](int64_t i, auto lanes) HWY_ATTR { return Load(x + i, lanes); });
  return hn::GetLane(hn::MaxOfLanes(DF(), max));
}

// The sum of e^(x - max); NaN when an element is NaN.
template <typename T>
HWY_INLINE float RowSumExp(const T* x, int64_t n, float max) {
  const VF m = Splat(max);
  return SumVectors(n, [&](int64_t i, auto lanes) HWY_ATTR {
    return ExpKeepNaN(hn::Sub(Load(x + i, lanes), m));
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // EISBACH_OPS_CPU_ROW_SOFTMAX_INL_H_
