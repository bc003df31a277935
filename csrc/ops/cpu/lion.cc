#include "ops/lion.h"

#include "device/cpu/parallel_for.h"
#include "ops/optimizer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/lion.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"
#include "ops/cpu/update-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 8192;  // elements a thread

template <typename T>
void LionRange(const LionArgs& args, T* data, int64_t begin, int64_t end) {
  float* master = args.master.data<float>();
  const float* grad = args.grad.data<float>();
  float* m = args.m.data<float>();
  const float* state = args.step_state.data<float>();
  const float lr = state[kLearningRate] * args.rate_factor;
  const VF factor = Splat(state[kGradientFactor]);
  const DecayLanes beta1(args.beta1), beta2(args.beta2);
  const VF step = Splat(lr);
  const VF decay = Splat(lr * args.weight_decay);
  const VF zero = Splat(0.0f);
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF g = hn::Mul(Load(grad + i, lanes), factor);
    const VF old_m = Load(m + i, lanes);
    const VF c = beta1.Mix(old_m, g);
    const VF move =
        hn::IfThenElse(hn::Eq(c, zero), zero, hn::CopySign(step, c));
    const VF old = Load(master + i, lanes);
    const VF updated = hn::Sub(hn::NegMulAdd(decay, old, old), move);
    Store(beta2.Mix(old_m, g), m + i, lanes);
    Store(updated, master + i, lanes);
    if (data != nullptr) Store(updated, data + i, lanes);
  });
}

}  // namespace

absl::Status Lion(const LionArgs& args, Stream&) {
  if (args.step_state.data<float>()[kFinite] == 0.0f) return absl::OkStatus();
  return DispatchFloat(args.data.dtype(), "lion", [&](auto type) {
    auto* data = SeparateData<decltype(type)>(args.master, args.data);
    cpu::ParallelFor(
        args.master.elements(), kGrain,
        [&](int64_t begin, int64_t end) { LionRange(args, data, begin, end); });
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(Lion);
}  // namespace eisbach::ops
#endif
