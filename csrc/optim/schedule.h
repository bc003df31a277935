#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace eisbach::optim {

struct ScheduleConfig {
  std::string name;  // one of those below
  double learning_rate;
  double min_learning_rate;  // at total_steps; not used by "constant"
  int64_t warmup_steps;
  int64_t total_steps;
  // wsd: the last of total_steps, in which the rate falls, and how: "linear",
  // "cosine" or "sqrt".
  int64_t decay_steps = 0;
  std::string decay = "linear";
  // cosine_restarts: steps of the first cycle, and how many times longer each
  // is than the one before it.
  int64_t cycle_steps = 0;
  double cycle_factor = 1;
};

// The learning rate as a pure function of the step, counted from 1.
//
//   step <= warmup   lr * step / warmup
//   constant         lr
//   linear           lr + (min_lr - lr) * t
//   cosine           min_lr + (lr - min_lr) / 2 * (1 + cos(pi * t))
//   wsd              lr, and in the last decay_steps from d = 0 to 1
//                      linear, cosine: those of d
//                      sqrt: lr + (min_lr - lr) * sqrt(d)
//   cosine_restarts  cosine of c = steps since the cycle began / its length
//
// with t = (step - warmup) / (total - warmup), at most 1. Cycles follow one
// another from the warm-up on; the step in which one ends begins the next, at
// lr. Cosine and its restarts: Loshchilov and Hutter, arXiv:1608.03983. WSD
// (warmup, stable, decay): Hu et al., arXiv:2404.06395; "sqrt" is the 1-sqrt of
// Haegele et al., arXiv:2405.18392. The stable part of a wsd run of more steps
// has the same rates, so a checkpoint of it is where a shorter run decays from.
class LearningRateSchedule {
 public:
  static absl::StatusOr<LearningRateSchedule> Make(
      const ScheduleConfig& config);

  double At(int64_t step) const;

  // OutOfRange for a step after total_steps, unless the schedule is constant or
  // restarts.
  absl::Status CheckStep(int64_t step) const;

 private:
  using Curve = double (*)(double high, double low, double t);

  LearningRateSchedule(const ScheduleConfig& config, Curve curve)
      : config_(config), curve_(curve) {}

  // How far a step after the warm-up is on the curve, in [0, 1].
  double Place(int64_t step) const;
  double PlaceInCycle(double since) const;

  ScheduleConfig config_;
  Curve curve_;
};

}  // namespace eisbach::optim
