// Buffers of 16-bit floats to and from f32 for one Highway target. Included by
// foreach_target files, once a target; others use convert.h.

#include <cstdint>
#include <cstring>

// clang-format off
#if defined(EISBACH_OPS_CPU_CONVERT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EISBACH_OPS_CPU_CONVERT_INL_H_
#undef EISBACH_OPS_CPU_CONVERT_INL_H_
#else
#define EISBACH_OPS_CPU_CONVERT_INL_H_
#endif
// clang-format on

#include "ops/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename From, typename To>
inline void ConvertBuffer(const From* from, int64_t n, To* to) {
  namespace simd = ::eisbach::ops::HWY_NAMESPACE;
  simd::ForEachVector(0, n, [&](int64_t i, auto lanes) HWY_ATTR {
    simd::Store(simd::Load(from + i, lanes), to + i, lanes);
  });
}

template <typename T>
inline void ConvertToFloat(const T* from, int64_t n, float* to) {
  ConvertBuffer(from, n, to);
}
// Rounds to nearest even; NaN stays NaN.
template <typename T>
inline void ConvertFromFloat(const float* from, int64_t n, T* to) {
  ConvertBuffer(from, n, to);
}

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // EISBACH_OPS_CPU_CONVERT_INL_H_
