// Loads and stores of f32, bf16 and f16 as vectors of f32, and loops over them.
// Compiled once for each instruction set, as Highway's own *-inl.h files.
//
// A loop's last, partial vector goes through the same arithmetic as the whole
// ones, so that the result for an element does not depend on where a range is
// cut or how it is aligned.

#include <cstdint>
#include <cstring>

#include "core/dtype.h"

// clang-format off
#if defined(EISBACH_OPS_CPU_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EISBACH_OPS_CPU_SIMD_INL_H_
#undef EISBACH_OPS_CPU_SIMD_INL_H_
#else
#define EISBACH_OPS_CPU_SIMD_INL_H_
#endif
// clang-format on

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<DF>;
using DU = hn::RebindToUnsigned<DF>;
using DU16 = hn::Rebind<uint16_t, DF>;
using VF = hn::Vec<DF>;
using VI = hn::Vec<DI>;
using VU = hn::Vec<DU>;

HWY_INLINE VF Splat(float x) { return hn::Set(DF(), x); }
HWY_INLINE int64_t VectorLength() {
  return static_cast<int64_t>(hn::Lanes(DF()));
}

// How much of a vector a step of a loop covers.
struct AllLanes {};
struct SomeLanes {
  size_t count;
};

// --- Whole vectors ----------------------------------------------------------

HWY_INLINE VF Load(const float* p, AllLanes = {}) { return hn::LoadU(DF(), p); }
HWY_INLINE void Store(VF v, float* p, AllLanes = {}) { hn::StoreU(v, DF(), p); }

HWY_INLINE VU LoadBits(const uint16_t* p) {
  return hn::PromoteTo(DU(), hn::LoadU(DU16(), p));
}
// Every lane is below 2^16.
HWY_INLINE void StoreBits(VU v, uint16_t* p) {
  hn::StoreU(hn::DemoteTo(DU16(), hn::BitCast(DI(), v)), DU16(), p);
}

HWY_INLINE VF Load(const BFloat16* p, AllLanes = {}) {
  const VU bits = LoadBits(reinterpret_cast<const uint16_t*>(p));
  return hn::BitCast(DF(), hn::ShiftLeft<16>(bits));
}
// To nearest even; NaN stays NaN.
HWY_INLINE void Store(VF v, BFloat16* p, AllLanes = {}) {
  const DU du;
  const VU u = hn::BitCast(du, v);
  const VU odd = hn::And(hn::ShiftRight<16>(u), hn::Set(du, 1u));
  const VU rounded = hn::Add(u, hn::Add(odd, hn::Set(du, 0x7fffu)));
  const VU nan = hn::Or(u, hn::Set(du, 0x400000u));
  const VU is_nan = hn::BitCast(du, hn::VecFromMask(DF(), hn::IsNaN(v)));
  StoreBits(hn::ShiftRight<16>(hn::IfVecThenElse(is_nan, nan, rounded)),
            reinterpret_cast<uint16_t*>(p));
}

// f16 is an instruction on some targets and bit arithmetic on the others.
#undef EISBACH_SIMD_HAS_F16
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64
#define EISBACH_SIMD_HAS_F16 1
#else
#define EISBACH_SIMD_HAS_F16 0
#endif

#if EISBACH_SIMD_HAS_F16

using DF16 = hn::Rebind<hwy::float16_t, DF>;

HWY_INLINE VF Load(const Float16* p, AllLanes = {}) {
  return hn::PromoteTo(
      DF(), hn::LoadU(DF16(), reinterpret_cast<const hwy::float16_t*>(p)));
}
// To nearest even; past 65504 to infinity; NaN stays NaN.
HWY_INLINE void Store(VF v, Float16* p, AllLanes = {}) {
  hn::StoreU(hn::DemoteTo(DF16(), v), DF16(),
             reinterpret_cast<hwy::float16_t*>(p));
}

#else

HWY_INLINE VF Load(const Float16* p, AllLanes = {}) {
  const DF df;
  const DI di;
  const DU du;
  const VU half = LoadBits(reinterpret_cast<const uint16_t*>(p));
  const VU sign = hn::ShiftLeft<16>(hn::And(half, hn::Set(du, 0x8000u)));
  const VU magnitude = hn::And(half, hn::Set(du, 0x7fffu));
  const VI m = hn::BitCast(di, magnitude);
  const VU shifted = hn::ShiftLeft<13>(magnitude);
  const VU normal = hn::Add(shifted, hn::Set(du, 112u << 23));
  const VU special = hn::Or(shifted, hn::Set(du, 0x7f800000u));
  const VU subnormal =
      hn::BitCast(du, hn::Mul(hn::ConvertTo(df, m), hn::Set(df, 0x1p-24f)));
  const VU is_subnormal =
      hn::BitCast(du, hn::VecFromMask(di, hn::Lt(m, hn::Set(di, 0x400))));
  const VU is_special =
      hn::BitCast(du, hn::VecFromMask(di, hn::Gt(m, hn::Set(di, 0x7bff))));
  const VU value = hn::IfVecThenElse(
      is_subnormal, subnormal, hn::IfVecThenElse(is_special, special, normal));
  return hn::BitCast(df, hn::Or(sign, value));
}
// To nearest even; past 65504 to infinity; NaN stays NaN.
HWY_INLINE void Store(VF v, Float16* p, AllLanes = {}) {
  const DF df;
  const DI di;
  const DU du;
  const VU u = hn::BitCast(du, v);
  const VU sign = hn::And(hn::ShiftRight<16>(u), hn::Set(du, 0x8000u));
  const VU magnitude = hn::And(u, hn::Set(du, 0x7fffffffu));
  const VI m = hn::BitCast(di, magnitude);
  const VU odd = hn::And(hn::ShiftRight<13>(magnitude), hn::Set(du, 1u));
  const VU normal = hn::ShiftRight<13>(
      hn::Sub(hn::Add(hn::Add(magnitude, hn::Set(du, 0xfffu)), odd),
              hn::Set(du, 112u << 23)));
  // An ulp of 0.5 is the smallest f16 subnormal: the addition rounds to it.
  const VU subnormal = hn::Sub(
      hn::BitCast(du, hn::Add(hn::BitCast(df, magnitude), hn::Set(df, 0.5f))),
      hn::Set(du, 0x3f000000u));
  const auto where = [&](auto mask) HWY_ATTR {
    return hn::BitCast(du, hn::VecFromMask(di, mask));
  };
  VU bits = hn::IfVecThenElse(where(hn::Lt(m, hn::Set(di, 0x38800000))),
                              subnormal, normal);
  bits = hn::IfVecThenElse(where(hn::Gt(m, hn::Set(di, 0x477fefff))),
                           hn::Set(du, 0x7c00u), bits);
  bits = hn::IfVecThenElse(where(hn::Gt(m, hn::Set(di, 0x7f800000))),
                           hn::Set(du, 0x7e00u), bits);
  StoreBits(hn::Or(sign, bits), reinterpret_cast<uint16_t*>(p));
}

#endif  // EISBACH_SIMD_HAS_F16

// --- Partial vectors --------------------------------------------------------

// Lanes past the count are zero.
template <typename T>
HWY_INLINE VF Load(const T* p, SomeLanes some) {
  T lanes[hn::MaxLanes(DF())] = {};
  std::memcpy(static_cast<void*>(lanes), p, some.count * sizeof(T));
  return Load(lanes);
}
template <typename T>
HWY_INLINE void Store(VF v, T* p, SomeLanes some) {
  T lanes[hn::MaxLanes(DF())];
  Store(v, lanes);
  std::memcpy(static_cast<void*>(p), lanes, some.count * sizeof(T));
}

// `v` where a lane is covered, else `other`.
HWY_INLINE VF Covered(VF v, VF, AllLanes) { return v; }
HWY_INLINE VF Covered(VF v, VF other, SomeLanes some) {
  return hn::IfThenElse(hn::FirstN(DF(), some.count), v, other);
}

// --- Loops ------------------------------------------------------------------

// Calls f(i, lanes) for each vector of [begin, end).
template <typename F>
HWY_INLINE void ForEachVector(int64_t begin, int64_t end, const F& f) {
  const int64_t length = VectorLength();
  int64_t i = begin;
  for (; i + length <= end; i += length) f(i, AllLanes());
  if (i < end) f(i, SomeLanes{static_cast<size_t>(end - i)});
}

// Combines f(i, lanes) over the vectors of [0, n) in four interleaved
// accumulators that start as `start`. Lanes that are not covered count as
// `start`, which `combine` must leave without effect.
template <typename Combine, typename F>
HWY_INLINE VF FoldVectors(int64_t n, VF start, const Combine& combine,
                          const F& f) {
  const int64_t length = VectorLength();
  VF a = start, b = start, c = start, d = start;
  int64_t i = 0;
  for (; i + 4 * length <= n; i += 4 * length) {
    a = combine(f(i, AllLanes()), a);
    b = combine(f(i + length, AllLanes()), b);
    c = combine(f(i + 2 * length, AllLanes()), c);
    d = combine(f(i + 3 * length, AllLanes()), d);
  }
  for (; i + length <= n; i += length) a = combine(f(i, AllLanes()), a);
  if (i < n) {
    const SomeLanes some{static_cast<size_t>(n - i)};
    a = combine(Covered(f(i, some), start, some), a);
  }
  return combine(combine(a, b), combine(c, d));
}

// The sum of f(i, lanes) over [0, n), in f32.
template <typename F>
HWY_INLINE float SumVectors(int64_t n, const F& f) {
  const VF sum = FoldVectors(
      n, hn::Zero(DF()), [](VF x, VF sum) HWY_ATTR { return hn::Add(x, sum); },
      f);
  return hn::GetLane(hn::SumOfLanes(DF(), sum));
}

// --- Functions --------------------------------------------------------------

// e^x to 1 ulp for x <= 88, 0 below -87.7 (where a float is subnormal), NaN for
// NaN (hn::Exp has 0). With n = round(x / ln 2) and r = x - n ln 2 the result
// is 2^n (1 + r + r^2 q(r)); q is the minimax polynomial for the relative error
// (3e-9) on |r| <= ln(2) / 2.
HWY_INLINE VF ExpKeepNaN(VF x) {
  const DU du;
  // Adding it leaves n + 127, the biased exponent, in the lowest bits.
  const VF magic = Splat(0x1.8p23f + 127.0f);
  const VF low = Splat(-88.0f);  // has the exponent bits of 0
  const VF v = hn::IfThenElse(hn::Lt(x, low), low, x);
  const VF biased = hn::MulAdd(v, Splat(1.44269504f), magic);
  const VF n = hn::Sub(biased, magic);
  VF r = hn::NegMulAdd(n, Splat(0.693359375f), v);
  r = hn::NegMulAdd(n, Splat(-2.12194440e-4f), r);
  VF q = Splat(1.38145778e-3f);
  q = hn::MulAdd(q, r, Splat(8.36872682e-3f));
  q = hn::MulAdd(q, r, Splat(4.16683890e-2f));
  q = hn::MulAdd(q, r, Splat(0.166665211f));
  q = hn::MulAdd(q, r, Splat(0.499999940f));
  const VF y = hn::Add(Splat(1.0f), hn::MulAdd(hn::Mul(r, r), q, r));
  const VF scale =
      hn::BitCast(DF(), hn::ShiftLeft<23>(hn::BitCast(du, biased)));
  return hn::Mul(y, scale);
}

// s = 1 / (1 + e^-z), and its complement 1 - s without cancellation.
HWY_INLINE void Logistic(VF z, VF& s, VF& complement) {
  const VF one = Splat(1.0f);
  const VF e = ExpKeepNaN(hn::Neg(hn::Abs(z)));  // [0, 1]
  const VF large = hn::Div(one, hn::Add(one, e));
  const VF small = hn::Mul(e, large);
  const auto positive = hn::Ge(z, hn::Zero(DF()));
  s = hn::IfThenElse(positive, large, small);
  complement = hn::IfThenElse(positive, small, large);
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // EISBACH_OPS_CPU_SIMD_INL_H_
