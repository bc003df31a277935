#include "ops/muon.h"

#include <algorithm>
#include <cmath>

#include "device/cpu/parallel_for.h"
#include "ops/optimizer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/muon.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"
#include "ops/cpu/update-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 8192;  // elements a thread

void MomentumRange(const MuonMomentumArgs& args, int64_t begin, int64_t end) {
  const float* grad = args.grad.data<float>();
  float* m = args.m.data<float>();
  float* direction = args.direction.data<float>();
  const VF factor = Splat(args.step_state.data<float>()[kGradientFactor]);
  const DecayLanes momentum(args.momentum);
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF g = hn::Mul(Load(grad + i, lanes), factor);
    const VF mean = momentum.Mix(Load(m + i, lanes), g);
    Store(mean, m + i, lanes);
    Store(args.nesterov ? momentum.Mix(mean, g) : mean, direction + i, lanes);
  });
}

template <typename T>
void StepRange(const MuonStepArgs& args, T* data, int64_t begin, int64_t end) {
  float* master = args.master.data<float>();
  const float* direction = args.direction.data<float>();
  const float lr =
      args.step_state.data<float>()[kLearningRate] * args.rate_factor;
  const VF rate = Splat(lr);
  const VF decay = Splat(lr * args.weight_decay);
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF old = Load(master + i, lanes);
    const VF kept = hn::NegMulAdd(decay, old, old);
    const VF updated = hn::NegMulAdd(rate, Load(direction + i, lanes), kept);
    Store(updated, master + i, lanes);
    if (data != nullptr) Store(updated, data + i, lanes);
  });
}

template <typename T>
void DivideRange(const float* x, float factor, T* out, int64_t begin,
                 int64_t end) {
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    Store(hn::Mul(Load(x + i, lanes), Splat(factor)), out + i, lanes);
  });
}

template <typename T>
void BlendRange(float a, const T* x, float b, T* y, int64_t begin,
                int64_t end) {
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF kept = hn::Mul(Splat(b), Load(y + i, lanes));
    Store(hn::MulAdd(Splat(a), Load(x + i, lanes), kept), y + i, lanes);
  });
}

}  // namespace

absl::Status MuonMomentum(const MuonMomentumArgs& args, Stream&) {
  const int64_t n = args.grad.elements();
  if (args.step_state.data<float>()[kFinite] == 0.0f) {
    std::fill_n(args.direction.data<float>(), n, 0.0f);
    return absl::OkStatus();
  }
  cpu::ParallelFor(n, kGrain, [&](int64_t begin, int64_t end) {
    MomentumRange(args, begin, end);
  });
  return absl::OkStatus();
}

absl::Status MuonStep(const MuonStepArgs& args, Stream&) {
  if (args.step_state.data<float>()[kFinite] == 0.0f) return absl::OkStatus();
  return DispatchFloat(args.data.dtype(), "muon_step", [&](auto type) {
    auto* data = SeparateData<decltype(type)>(args.master, args.data);
    cpu::ParallelFor(
        args.master.elements(), kGrain,
        [&](int64_t begin, int64_t end) { StepRange(args, data, begin, end); });
    return absl::OkStatus();
  });
}

absl::Status DivideByRoot(const DivideByRootArgs& args, Stream&) {
  const double root = std::sqrt(*args.square.data<double>());
  const double divisor = std::max(root, static_cast<double>(args.least));
  const float factor = static_cast<float>(1 / divisor);
  return DispatchFloat(args.out.dtype(), "divide_by_root", [&](auto type) {
    const float* x = args.x.data<float>();
    auto* out = args.out.data<decltype(type)>();
    cpu::ParallelFor(args.x.elements(), kGrain,
                     [&](int64_t begin, int64_t end) {
                       DivideRange(x, factor, out, begin, end);
                     });
    return absl::OkStatus();
  });
}

absl::Status Blend(const BlendArgs& args, Stream&) {
  return DispatchFloat(args.x.dtype(), "blend", [&](auto type) {
    using T = decltype(type);
    const T* x = args.x.data<T>();
    T* y = args.y.data<T>();
    cpu::ParallelFor(args.x.elements(), kGrain,
                     [&](int64_t begin, int64_t end) {
                       BlendRange(args.a, x, args.b, y, begin, end);
                     });
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(MuonMomentum);
EISBACH_REGISTER_SIMD_KERNEL(MuonStep);
EISBACH_REGISTER_SIMD_KERNEL(DivideByRoot);
EISBACH_REGISTER_SIMD_KERNEL(Blend);
}  // namespace eisbach::ops
#endif
