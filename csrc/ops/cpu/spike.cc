#include "ops/spike.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ops/loss_scale.h"

namespace eisbach::ops {
namespace {

// Of an even number the lower one.
double MedianOf(const double* values, int count) {
  std::array<double, kMostSpikeWindow> sorted;
  std::copy_n(values, count, sorted.begin());
  const auto middle = sorted.begin() + (count - 1) / 2;
  std::nth_element(sorted.begin(), middle, sorted.begin() + count);
  return *middle;
}

struct Limit {
  double limit;
  double median;
};

Limit LimitOf(const double* values, const SpikeRule& rule,
              const LeastDeviation& least) {
  const double median = MedianOf(values, rule.window);
  std::array<double, kMostSpikeWindow> distances;
  std::transform(values, values + rule.window, distances.begin(),
                 [&](double x) { return std::abs(x - median); });
  const double deviation =
      std::max({kNormalMad * MedianOf(distances.data(), rule.window),
                least.relative * std::abs(median), least.absolute});
  return {median + rule.deviations * deviation, median};
}

absl::Status Judge(const JudgeStepArgs& args, Stream&) {
  float* step_state = args.step_state.data<float>();
  double* state = args.state.data<double>();
  double* verdict = args.verdict.data<double>();
  std::fill_n(verdict, kVerdictSize, 0.0);
  if (step_state[kVoid] != 0.0f) return absl::OkStatus();
  double loss = 0;
  for (int64_t i = 0; i < args.losses.elements(); ++i) {
    loss += args.losses.data<double>()[i];
  }
  const Tensor* counted = args.tokens.counted;
  if (counted != nullptr) loss *= args.tokens.all / *counted->data<double>();
  const float scale = step_state[kLossScale];
  const double norm = std::sqrt(*args.norm_squared.data<double>()) / scale;
  const int window = args.rule.window;
  BadStep bad = BadStep::kNone;
  Limit limit{};
  if (!std::isfinite(loss)) {
    bad = BadStep::kLossNotFinite;
  } else if (!std::isfinite(norm)) {
    // UpdateLossScale sees to it.
    if (args.loss_scaled && scale > kLeastLossScale) return absl::OkStatus();
    bad = BadStep::kNormNotFinite;
  } else if (args.rule.deviations > 0 && state[kKept] >= window) {
    limit = LimitOf(state + kWindow, args.rule, kLeastLossDeviation);
    if (loss > limit.limit) {
      bad = BadStep::kLossSpike;
    } else {
      limit = LimitOf(state + kWindow + window, args.rule, kLeastNormDeviation);
      if (norm > limit.limit) bad = BadStep::kNormSpike;
    }
  }
  if (bad == BadStep::kNone) {
    const int at = static_cast<int>(state[kNext]);
    state[kWindow + at] = loss;
    state[kWindow + window + at] = norm;
    state[kNext] = (at + 1) % window;
    state[kKept] = std::min<double>(window, state[kKept] + 1);
    state[kInARow] = 0;
    return absl::OkStatus();
  }
  verdict[kBad] = static_cast<int>(bad);
  verdict[kLimit] = limit.limit;
  verdict[kMedian] = limit.median;
  step_state[kFinite] = 0;
  if (state[kInARow] + 1 > state[kTolerated]) {
    verdict[kIsVoid] = step_state[kVoid] = 1;
  } else {
    state[kInARow] += 1;
    state[kSkipped] += 1;
  }
  return absl::OkStatus();
}

absl::Status EndSkipped(const EndSkippedStepArgs& args, Stream&) {
  const double* verdict = args.verdict.data<double>();
  if (verdict[kBad] == 0 || verdict[kIsVoid] != 0) return absl::OkStatus();
  float* step_state = args.step_state.data<float>();
  step_state[kFinite] = 1;
  step_state[kVoid] = 0;
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(JudgeStepSlot, DeviceType::kCpu, &Judge);
EISBACH_REGISTER_KERNEL(EndSkippedStepSlot, DeviceType::kCpu, &EndSkipped);

}  // namespace
}  // namespace eisbach::ops
