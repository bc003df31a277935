// What the update rules share. Compiled once for each instruction set, as
// Highway's own *-inl.h files.

#include "ops/decay.h"
#include "tensor/tensor.h"

// clang-format off
#if defined(EISBACH_OPS_CPU_UPDATE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EISBACH_OPS_CPU_UPDATE_INL_H_
#undef EISBACH_OPS_CPU_UPDATE_INL_H_
#else
#define EISBACH_OPS_CPU_UPDATE_INL_H_
#endif
// clang-format on

#include "ops/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {

// The storage type of `data`, and null where `data` is `master` itself.
template <typename T>
T* SeparateData(const Tensor& master, const Tensor& data) {
  return data.raw() == master.raw() ? nullptr : data.data<T>();
}

// ops/decay.h in every lane.
struct DecayLanes : Decay {
  explicit DecayLanes(double beta) : Decay(MakeDecay(beta)) {}

  // beta x + added
  HWY_INLINE VF Apply(VF x, VF added) const {
    return hn::MulAdd(Splat(high), x, hn::MulAdd(Splat(low), x, added));
  }
  // beta x + (1 - beta) y
  HWY_INLINE VF Mix(VF x, VF y) const {
    return Apply(x, hn::Mul(Splat(rest), y));
  }
};

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // EISBACH_OPS_CPU_UPDATE_INL_H_
