#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace eisbach::optim {

struct ScheduleConfig {
  std::string name;  // "constant", "linear" or "cosine"
  double learning_rate;
  double min_learning_rate;  // at total_steps; not used by "constant"
  int64_t warmup_steps;
  int64_t total_steps;
};

// The learning rate as a pure function of the step, counted from 1.
//
//   step <= warmup   lr * step / warmup
//   constant         lr
//   linear           lr + (min_lr - lr) * t
//   cosine           min_lr + (lr - min_lr) / 2 * (1 + cos(pi * t))
//
// with t = (step - warmup) / (total - warmup), at most 1. Cosine: Loshchilov
// and Hutter, arXiv:1608.03983, without restarts.
class LearningRateSchedule {
 public:
  static absl::StatusOr<LearningRateSchedule> Make(
      const ScheduleConfig& config);

  double At(int64_t step) const;

  // OutOfRange for a step after total_steps, unless the schedule is constant.
  absl::Status CheckStep(int64_t step) const;

 private:
  using Curve = double (*)(double high, double low, double t);

  LearningRateSchedule(const ScheduleConfig& config, Curve curve)
      : config_(config), curve_(curve) {}

  ScheduleConfig config_;
  Curve curve_;
};

}  // namespace eisbach::optim
