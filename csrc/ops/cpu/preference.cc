#include "ops/preference.h"

namespace eisbach::ops {
namespace {

absl::Status PairSumsCpu(const PairSumsArgs& args, Stream&) {
  const float* losses = args.losses.data<float>();
  const int32_t* targets = args.targets.data<int32_t>();
  const int32_t* starts = args.starts.data<int32_t>();
  const int64_t length = args.targets.dim(1);
  for (int64_t b = 0; b < args.targets.dim(0); ++b) {
    double* sums = args.sums.data<double>() + b * kPairSums;
    for (int i = 0; i < kPairSums; ++i) sums[i] = 0;
    for (int64_t i = b * length; i < (b + 1) * length; ++i) {
      if (targets[i] < 0) continue;
      const int answer = starts[i] == 0 ? 0 : 1;
      sums[kChosen + answer] -= losses[i];
      sums[kChosenTokens + answer] += 1;
    }
  }
  return absl::OkStatus();
}

absl::Status PreferenceCpu(const PreferenceArgs& args, Stream&) {
  const double* policy = args.policy.data<double>();
  const double* reference = args.reference.data<double>();
  const int32_t* starts = args.starts.data<int32_t>();
  float* weights = args.weights.data<float>();
  double* totals = args.totals.data<double>();
  const int64_t length = args.starts.dim(1);
  double loss = 0;
  for (int64_t b = 0; b < args.starts.dim(0); ++b) {
    const PairOutcome pair =
        JudgePair(args.rule, policy + b * kPairSums, reference + b * kPairSums);
    loss += pair.loss;
    totals[kPairs] += 1;
    totals[kChosenReward] += pair.chosen_reward;
    totals[kRejectedReward] += pair.rejected_reward;
    totals[kRight] += pair.chosen_reward > pair.rejected_reward;
    // A cross-entropy is minus a log p.
    const float chosen = static_cast<float>(-pair.chosen_slope);
    const float rejected = static_cast<float>(-pair.rejected_slope);
    for (int64_t i = b * length; i < (b + 1) * length; ++i) {
      weights[i] = starts[i] == 0 ? chosen : rejected;
    }
  }
  *args.loss.data<double>() = static_cast<double>(args.scale) * loss;
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(PairSumsSlot, DeviceType::kCpu, &PairSumsCpu);
EISBACH_REGISTER_KERNEL(PreferenceSlot, DeviceType::kCpu, &PreferenceCpu);

}  // namespace
}  // namespace eisbach::ops
