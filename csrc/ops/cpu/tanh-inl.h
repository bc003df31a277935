// tanh for one Highway target. Included by foreach_target files, once a target.

// clang-format off
#if defined(EISBACH_OPS_CPU_TANH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EISBACH_OPS_CPU_TANH_INL_H_
#undef EISBACH_OPS_CPU_TANH_INL_H_
#else
#define EISBACH_OPS_CPU_TANH_INL_H_
#endif
// clang-format on

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {

// tanh(x) to 2 ulp, where `e` is e^(-2|x|): a polynomial about 0 (Cephes,
// tanhf), as (1 - e) / (1 + e) would cancel there. NaN for NaN, if `e` is NaN.
template <class D, class V>
HWY_INLINE V TanhBy(D d, V x, V e) {
  namespace hn = hwy::HWY_NAMESPACE;
  const V one = hn::Set(d, 1.0f), z = hn::Mul(x, x);
  V p = hn::Set(d, -5.70498872745e-3f);
  p = hn::MulAdd(p, z, hn::Set(d, 2.06390887954e-2f));
  p = hn::MulAdd(p, z, hn::Set(d, -5.37397155531e-2f));
  p = hn::MulAdd(p, z, hn::Set(d, 1.33314422036e-1f));
  p = hn::MulAdd(p, z, hn::Set(d, -3.33332819422e-1f));
  p = hn::MulAdd(hn::Mul(p, z), x, x);
  const V far = hn::Div(hn::Sub(one, e), hn::Add(one, e));
  return hn::IfThenElse(hn::Lt(hn::Abs(x), hn::Set(d, 0.625f)), p,
                        hn::CopySign(far, x));
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
