#include "ops/preference.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/preference_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status PairSumsCuda(const PairSumsArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchPairSums(
      args.losses.data<float>(), args.targets.data<int32_t>(),
      args.starts.data<int32_t>(), {args.targets.dim(0), args.targets.dim(1)},
      args.sums.data<double>(), cuda::Handle(stream)));
  return absl::OkStatus();
}

absl::Status PreferenceCuda(const PreferenceArgs& args, Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchPreference(
      args.rule, args.scale, args.policy.data<double>(),
      args.reference.data<double>(), args.starts.data<int32_t>(),
      {args.starts.dim(0), args.starts.dim(1)},
      {args.loss.data<double>(), args.weights.data<float>(),
       args.totals.data<double>()},
      cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(PairSumsSlot, DeviceType::kCuda, &PairSumsCuda);
EISBACH_REGISTER_KERNEL(PreferenceSlot, DeviceType::kCuda, &PreferenceCuda);

}  // namespace
}  // namespace eisbach::ops
