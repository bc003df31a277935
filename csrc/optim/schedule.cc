#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"

namespace eisbach::optim {
namespace {

double Constant(double high, double, double) { return high; }

double Linear(double high, double low, double t) {
  return high + (low - high) * t;
}

double Cosine(double high, double low, double t) {
  return low + (high - low) / 2 * (1 + std::cos(std::numbers::pi * t));
}

}  // namespace

absl::StatusOr<LearningRateSchedule> LearningRateSchedule::Make(
    const ScheduleConfig& config) {
  if (!(config.learning_rate > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("learning rate ", config.learning_rate,
                     " is not above 0 (optimizer.lr)"));
  }
  if (!(config.min_learning_rate >= 0 &&
        config.min_learning_rate <= config.learning_rate)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "min_lr=", config.min_learning_rate,
        " is outside [0, lr=", config.learning_rate, "] (optimizer.min_lr)"));
  }
  EISBACH_RETURN_IF_ERROR(
      CheckFitsF32("lr", config.learning_rate, "optimizer.lr"));
  EISBACH_RETURN_IF_ERROR(
      CheckFitsF32("min_lr", config.min_learning_rate, "optimizer.min_lr"));
  if (config.warmup_steps < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("warmup_steps=", config.warmup_steps,
                     " is below 0 (optimizer.warmup_steps)"));
  }
  if (config.name == "constant") return LearningRateSchedule(config, Constant);
  if (config.name == "linear") return LearningRateSchedule(config, Linear);
  if (config.name == "cosine") return LearningRateSchedule(config, Cosine);
  return absl::InvalidArgumentError(
      absl::StrCat("schedule \"", config.name,
                   "\" is not one of constant, linear, cosine "
                   "(optimizer.schedule)"));
}

absl::Status LearningRateSchedule::CheckStep(int64_t step) const {
  if (curve_ == Constant || step <= config_.total_steps) {
    return absl::OkStatus();
  }
  return absl::OutOfRangeError(absl::StrCat(
      "step ", step, " is past the end of the ", config_.name,
      " schedule, which has ", config_.total_steps,
      " (train.steps); give it more steps, set the learning rate, or take "
      "\"constant\", which has no end (optimizer.schedule)"));
}

double LearningRateSchedule::At(int64_t step) const {
  const int64_t warmup = config_.warmup_steps;
  if (step < warmup) {
    return config_.learning_rate * static_cast<double>(step) /
           static_cast<double>(warmup);
  }
  const int64_t length = config_.total_steps - warmup;
  const double t = length <= 0 ? 0.0
                               : std::clamp(static_cast<double>(step - warmup) /
                                                static_cast<double>(length),
                                            0.0, 1.0);
  return curve_(config_.learning_rate, config_.min_learning_rate, t);
}

}  // namespace eisbach::optim
