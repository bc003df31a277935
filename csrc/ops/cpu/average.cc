#include "ops/average.h"

#include "device/cpu/parallel_for.h"
#include "ops/optimizer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/average.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"
#include "ops/cpu/update-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 8192;  // elements a thread

void AverageRange(const AverageArgs& args, int64_t begin, int64_t end) {
  const float* master = args.master.data<float>();
  float* average = args.average.data<float>();
  const DecayLanes decay(args.decay);
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF mixed =
        decay.Mix(Load(average + i, lanes), Load(master + i, lanes));
    Store(mixed, average + i, lanes);
  });
}

}  // namespace

absl::Status Average(const AverageArgs& args, Stream&) {
  if (args.step_state.data<float>()[kFinite] == 0.0f) return absl::OkStatus();
  cpu::ParallelFor(
      args.master.elements(), kGrain,
      [&](int64_t begin, int64_t end) { AverageRange(args, begin, end); });
  return absl::OkStatus();
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(Average);
}  // namespace eisbach::ops
#endif
