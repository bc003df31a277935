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

double Sqrt(double high, double low, double t) {
  return high + (low - high) * std::sqrt(t);
}

double Linear(double high, double low, double t) {
  return high + (low - high) * t;
}

double Cosine(double high, double low, double t) {
  return low + (high - low) / 2 * (1 + std::cos(std::numbers::pi * t));
}

constexpr absl::string_view kRestarts = "cosine_restarts";

absl::Status CheckDecay(const ScheduleConfig& config) {
  const int64_t most = config.total_steps - config.warmup_steps;
  if (config.decay_steps < 1 || config.decay_steps > most) {
    return absl::InvalidArgumentError(absl::StrCat(
        "decay_steps=", config.decay_steps, " is outside [1, ", most,
        "], what warmup_steps=", config.warmup_steps,
        " leaves of steps=", config.total_steps, " (optimizer.decay_steps)"));
  }
  for (absl::string_view known : {"linear", "cosine", "sqrt"}) {
    if (config.decay == known) return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("decay \"", config.decay,
                   "\" is not one of linear, cosine, sqrt (optimizer.decay)"));
}

absl::Status CheckCycles(const ScheduleConfig& config) {
  if (config.cycle_steps < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("cycle_steps=", config.cycle_steps,
                     " is below 1 (optimizer.cycle_steps)"));
  }
  if (!(config.cycle_factor >= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cycle_factor=", config.cycle_factor,
                     " is below 1 (optimizer.cycle_factor); at 1 all cycles "
                     "are equally long"));
  }
  return absl::OkStatus();
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
  const bool wsd = config.name == "wsd", restarts = config.name == kRestarts;
  if (wsd) EISBACH_RETURN_IF_ERROR(CheckDecay(config));
  if (restarts) EISBACH_RETURN_IF_ERROR(CheckCycles(config));
  const std::string& curve = wsd ? config.decay : config.name;
  if (curve == "constant") return LearningRateSchedule(config, Constant);
  if (curve == "linear") return LearningRateSchedule(config, Linear);
  if (curve == "cosine" || restarts) {
    return LearningRateSchedule(config, Cosine);
  }
  if (curve == "sqrt" && wsd) return LearningRateSchedule(config, Sqrt);
  return absl::InvalidArgumentError(
      absl::StrCat("schedule \"", config.name,
                   "\" is not one of constant, linear, cosine, wsd, ",
                   kRestarts, " (optimizer.schedule)"));
}

absl::Status LearningRateSchedule::CheckStep(int64_t step) const {
  if (curve_ == Constant || config_.name == kRestarts ||
      step <= config_.total_steps) {
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
  return curve_(config_.learning_rate, config_.min_learning_rate, Place(step));
}

double LearningRateSchedule::Place(int64_t step) const {
  if (config_.name == kRestarts) {
    return PlaceInCycle(static_cast<double>(step - config_.warmup_steps));
  }
  const int64_t begin = config_.name == "wsd"
                            ? config_.total_steps - config_.decay_steps
                            : config_.warmup_steps;
  const int64_t length = config_.total_steps - begin;
  return length <= 0 ? 0.0
                     : std::clamp(static_cast<double>(step - begin) /
                                      static_cast<double>(length),
                                  0.0, 1.0);
}

double LearningRateSchedule::PlaceInCycle(double since) const {
  double length = static_cast<double>(config_.cycle_steps);
  if (config_.cycle_factor == 1) return std::fmod(since, length) / length;
  while (since >= length) {
    since -= length;
    length *= config_.cycle_factor;
  }
  return since / length;
}

}  // namespace eisbach::optim
