#include "ops/optimizer.h"

#include <algorithm>
#include <cmath>

#include "device/cpu/parallel_for.h"
#include "ops/cpu/stochastic_rounding.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/optimizer.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"
#include "ops/cpu/update-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 8192;       // elements a thread
constexpr int64_t kRoundBlock = 2048;  // elements that are still in the cache

template <typename T>
void AdamWRange(const AdamWArgs& args, T* data, int64_t begin, int64_t end) {
  float* master = args.master.data<float>();
  const float* grad = args.grad.data<float>();
  float* m = args.m.data<float>();
  float* v = args.v.data<float>();
  const float* state = args.step_state.data<float>();
  const float lr = state[kLearningRate] * args.rate_factor;
  const VF factor = Splat(state[kGradientFactor]);
  const DecayLanes beta1(args.beta1), beta2(args.beta2);
  const VF step = Splat(lr / state[kBiasCorrection1]);
  const VF unbias2 = Splat(1.0f / state[kBiasCorrection2]);
  const VF eps = Splat(args.eps);
  const VF decay = Splat(lr * args.weight_decay);
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF g = hn::Mul(Load(grad + i, lanes), factor);
    const VF m1 = beta1.Mix(Load(m + i, lanes), g);
    const VF v1 = beta2.Mix(Load(v + i, lanes), hn::Mul(g, g));
    const VF root = hn::Add(hn::Sqrt(hn::Mul(v1, unbias2)), eps);
    const VF old = Load(master + i, lanes);
    const VF kept = hn::NegMulAdd(decay, old, old);
    const VF updated = hn::Sub(kept, hn::Div(hn::Mul(step, m1), root));
    Store(m1, m + i, lanes);
    Store(v1, v + i, lanes);
    Store(updated, master + i, lanes);
    if (data != nullptr) Store(updated, data + i, lanes);
  });
}

void AdamWRandomlyRounded(const AdamWArgs& args) {
  const float* master = args.master.data<float>();
  BFloat16* data = args.data.data<BFloat16>();
  cpu::ParallelFor(args.master.elements(), kGrain,
                   [&](int64_t begin, int64_t end) {
                     for (; begin < end; begin += kRoundBlock) {
                       const int64_t stop = std::min(begin + kRoundBlock, end);
                       AdamWRange<float>(args, nullptr, begin, stop);
                       RoundRange(master, data, begin, stop, *args.rounding);
                     }
                   });
}

template <typename T>
void SgdRange(const SgdArgs& args, T* data, int64_t begin, int64_t end) {
  float* master = args.master.data<float>();
  const float* grad = args.grad.data<float>();
  float* m = args.m == nullptr ? nullptr : args.m->data<float>();
  const float* state = args.step_state.data<float>();
  const VF lr = Splat(state[kLearningRate] * args.rate_factor);
  const VF factor = Splat(state[kGradientFactor]);
  const DecayLanes momentum(args.momentum);
  const VF decay = Splat(args.weight_decay);
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF old = Load(master + i, lanes);
    VF g = hn::MulAdd(decay, old, hn::Mul(Load(grad + i, lanes), factor));
    if (m != nullptr) {
      g = momentum.Apply(Load(m + i, lanes), g);
      Store(g, m + i, lanes);
    }
    const VF updated = hn::NegMulAdd(lr, g, old);
    Store(updated, master + i, lanes);
    if (data != nullptr) Store(updated, data + i, lanes);
  });
}

}  // namespace

absl::Status AdamW(const AdamWArgs& args, Stream&) {
  if (args.step_state.data<float>()[kFinite] == 0.0f) return absl::OkStatus();
  if (args.rounding != nullptr) {
    AdamWRandomlyRounded(args);
    return absl::OkStatus();
  }
  return DispatchFloat(args.data.dtype(), "adamw", [&](auto type) {
    auto* data = SeparateData<decltype(type)>(args.master, args.data);
    cpu::ParallelFor(args.master.elements(), kGrain,
                     [&](int64_t begin, int64_t end) {
                       AdamWRange(args, data, begin, end);
                     });
    return absl::OkStatus();
  });
}

absl::Status Sgd(const SgdArgs& args, Stream&) {
  if (args.step_state.data<float>()[kFinite] == 0.0f) return absl::OkStatus();
  return DispatchFloat(args.data.dtype(), "sgd", [&](auto type) {
    auto* data = SeparateData<decltype(type)>(args.master, args.data);
    cpu::ParallelFor(
        args.master.elements(), kGrain,
        [&](int64_t begin, int64_t end) { SgdRange(args, data, begin, end); });
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
namespace {

absl::Status CpuClipFactor(const ClipFactorArgs& args, Stream&) {
  float* state = args.step_state.data<float>();
  const Tensor* counted = args.tokens.counted;
  const double tokens =
      counted == nullptr ? args.tokens.all : *counted->data<double>();
  if (tokens == 0) {
    state[kGradientFactor] = state[kFinite] = 0;
    state[kVoid] = 1;
    return absl::OkStatus();
  }
  const double mean = args.tokens.all / tokens;
  double& norm_squared = *args.norm_squared.data<double>();
  norm_squared *= mean * mean;
  const double scale = state[kLossScale];
  const double norm = std::sqrt(norm_squared) / scale;
  const bool finite = std::isfinite(norm);
  double factor = 1;
  if (!finite) {
    factor = 0;
  } else if (args.max_norm > 0) {
    factor = std::min(1.0, args.max_norm / (norm + 1e-6));
  }
  state[kGradientFactor] = static_cast<float>(mean * factor / scale);
  if (!finite) state[kFinite] = 0;
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(ClipFactorSlot, DeviceType::kCpu, &CpuClipFactor);

}  // namespace

EISBACH_REGISTER_SIMD_KERNEL(AdamW);
EISBACH_REGISTER_SIMD_KERNEL(Sgd);

}  // namespace eisbach::ops
#endif
