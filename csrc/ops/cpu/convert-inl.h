// Conversions between f32 and 16-bit floats for one Highway target. Included
// by foreach_target files, once a target; others use convert.h.

#include "core/dtype.h"

#if defined(EISBACH_OPS_CPU_CONVERT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EISBACH_OPS_CPU_CONVERT_INL_H_
#undef EISBACH_OPS_CPU_CONVERT_INL_H_
#else
#define EISBACH_OPS_CPU_CONVERT_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Targets whose conversions between f16 and f32 are instructions that round
// to nearest even; elsewhere Float16 converts one element at a time.
#undef EISBACH_FAST_F16
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64
#define EISBACH_FAST_F16 1
#else
#define EISBACH_FAST_F16 0
#endif

inline void ConvertToFloat(const BFloat16* HWY_RESTRICT from, int64_t n,
                           float* HWY_RESTRICT to) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const hn::RebindToUnsigned<decltype(d)> d32;
  const uint16_t* bits = reinterpret_cast<const uint16_t*>(from);
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto wide = hn::PromoteTo(d32, hn::LoadU(d16, bits + i));
    hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(wide)), d, to + i);
  }
  for (; i < n; ++i) to[i] = static_cast<float>(from[i]);
}

// Rounds to nearest even; a NaN keeps its upper bits and becomes quiet.
inline void ConvertFromFloat(const float* HWY_RESTRICT from, int64_t n,
                             BFloat16* HWY_RESTRICT to) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const hn::RebindToUnsigned<decltype(d)> d32;
  const hn::RebindToSigned<decltype(d)> di32;
  uint16_t* bits = reinterpret_cast<uint16_t*>(to);
  const int64_t lanes = hn::Lanes(d);
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto value = hn::LoadU(d, from + i);
    const auto u = hn::BitCast(d32, value);
    const auto odd = hn::And(hn::ShiftRight<16>(u), hn::Set(d32, 1));
    const auto rounded =
        hn::ShiftRight<16>(hn::Add(u, hn::Add(odd, hn::Set(d32, 0x7fff))));
    const auto quiet = hn::Or(hn::ShiftRight<16>(u), hn::Set(d32, 0x40));
    const auto is_nan = hn::RebindMask(d32, hn::IsNaN(value));
    // Values are below 2^16, so that demotion with saturation keeps them.
    const auto narrow = hn::IfThenElse(is_nan, quiet, rounded);
    hn::StoreU(hn::DemoteTo(d16, hn::BitCast(di32, narrow)), d16, bits + i);
  }
  for (; i < n; ++i) to[i] = BFloat16(from[i]);
}

inline void ConvertToFloat(const Float16* HWY_RESTRICT from, int64_t n,
                           float* HWY_RESTRICT to) {
  int64_t i = 0;
#if EISBACH_FAST_F16
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> d16;
  const auto* half = reinterpret_cast<const hwy::float16_t*>(from);
  const int64_t lanes = hn::Lanes(d);
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::PromoteTo(d, hn::LoadU(d16, half + i)), d, to + i);
  }
#endif
  for (; i < n; ++i) to[i] = static_cast<float>(from[i]);
}

inline void ConvertFromFloat(const float* HWY_RESTRICT from, int64_t n,
                             Float16* HWY_RESTRICT to) {
  int64_t i = 0;
#if EISBACH_FAST_F16
  const hn::ScalableTag<float> d;
  const hn::Rebind<hwy::float16_t, decltype(d)> d16;
  auto* half = reinterpret_cast<hwy::float16_t*>(to);
  const int64_t lanes = hn::Lanes(d);
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(hn::DemoteTo(d16, hn::LoadU(d, from + i)), d16, half + i);
  }
#endif
  for (; i < n; ++i) to[i] = Float16(from[i]);
}

inline void ConvertToFloat(const float* from, int64_t n, float* to) {
  if (n > 0) std::memcpy(to, from, n * sizeof(float));
}
inline void ConvertFromFloat(const float* from, int64_t n, float* to) {
  if (n > 0) std::memcpy(to, from, n * sizeof(float));
}

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
