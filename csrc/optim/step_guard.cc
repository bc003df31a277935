#include "optim/step_guard.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::optim {

absl::string_view Name(OnSpike on_spike) {
  switch (on_spike) {
    case OnSpike::kStop:
      return "stop";
    case OnSpike::kSkip:
      return "skip";
    case OnSpike::kRerun:
      return "rerun";
  }
  return "";
}

absl::StatusOr<OnSpike> ParseOnSpike(absl::string_view name) {
  for (OnSpike known : {OnSpike::kStop, OnSpike::kSkip, OnSpike::kRerun}) {
    if (Name(known) == name) return known;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("on_spike=\"", name,
                   "\" is not one of stop, skip, rerun (fault.on_spike)"));
}

absl::Status Validate(const SpikeConfig& config) {
  const double deviations = config.rule.deviations;
  if (!(deviations >= 0 && std::isfinite(deviations))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "spike_deviations=", deviations,
        " is no finite number of 0 or more (fault.spike_deviations)"));
  }
  const int window = config.rule.window;
  if (window < ops::kLeastSpikeWindow || window > ops::kMostSpikeWindow) {
    return absl::InvalidArgumentError(absl::StrCat(
        "spike_window=", window, " is outside [", ops::kLeastSpikeWindow, ", ",
        ops::kMostSpikeWindow, "] (fault.spike_window); nearest that works: ",
        std::clamp(window, ops::kLeastSpikeWindow, ops::kMostSpikeWindow)));
  }
  if (config.most_skips < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("most_skips=", config.most_skips,
                     " is below 1 (fault.most_skips); fault.on_spike=stop "
                     "skips none"));
  }
  return absl::OkStatus();
}

absl::StatusOr<StepGuard> StepGuard::Make(const SpikeConfig& config,
                                          Stream& stream) {
  EISBACH_RETURN_IF_ERROR(Validate(config));
  StepGuard guard(config);
  EISBACH_ASSIGN_OR_RETURN(
      guard.state_,
      Tensor::Zeros(Shape{ops::SpikeStateSize(config.rule.window)}, DType::kF64,
                    stream));
  EISBACH_RETURN_IF_ERROR(
      guard.SetSkips(config.on_spike == OnSpike::kSkip, stream));
  return guard;
}

absl::Status StepGuard::Judge(const Tensor& norm_squared, const Tensor& losses,
                              const ops::CountedTokens& tokens,
                              bool loss_scaled, const StepState& state,
                              const Tensor& verdict, Stream& stream) {
  return ops::JudgeStep({.norm_squared = norm_squared,
                         .losses = losses,
                         .tokens = tokens,
                         .rule = config_.rule,
                         .loss_scaled = loss_scaled,
                         .state = state_,
                         .verdict = verdict,
                         .step_state = state.values()},
                        stream);
}

absl::Status StepGuard::End(const StepState& state, const Tensor& verdict,
                            Stream& stream) {
  return ops::EndSkippedStep(verdict, state.values(), stream);
}

absl::Status StepGuard::SetSkips(bool skips, Stream& stream) {
  if (state_.raw() == nullptr) return absl::OkStatus();  // meta
  const double tolerated = skips ? config_.most_skips : 0;
  EISBACH_ASSIGN_OR_RETURN(const Tensor place,
                           state_.Narrow(0, ops::kTolerated, 1));
  EISBACH_RETURN_IF_ERROR(stream.device().CopyToDevice(
      place.raw(), &tolerated, sizeof(tolerated), stream));
  return stream.Synchronize();
}

absl::StatusOr<std::vector<double>> StepGuard::ReadState(Stream& stream) const {
  std::vector<double> values(state_.elements());
  if (state_.raw() == nullptr) return values;
  EISBACH_RETURN_IF_ERROR(stream.device().CopyToHost(
      values.data(), state_.raw(), state_.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return values;
}

absl::StatusOr<SpikeHistory> StepGuard::Read(Stream& stream) const {
  EISBACH_ASSIGN_OR_RETURN(const std::vector<double> values, ReadState(stream));
  const int window = config_.rule.window;
  const int kept = static_cast<int>(values[ops::kKept]);
  const int oldest = static_cast<int>(values[ops::kNext]) + window - kept;
  SpikeHistory history{.in_a_row = static_cast<int>(values[ops::kInARow]),
                       .skipped = static_cast<int64_t>(values[ops::kSkipped])};
  for (int i = 0; i < kept; ++i) {
    const int at = ops::kWindow + (oldest + i) % window;
    history.losses.push_back(values[at]);
    history.norms.push_back(values[at + window]);
  }
  return history;
}

absl::Status StepGuard::Restore(const SpikeHistory& history, Stream& stream) {
  if (state_.raw() == nullptr) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(std::vector<double> values, ReadState(stream));
  const size_t window = static_cast<size_t>(config_.rule.window);
  const size_t all = std::min(history.losses.size(), history.norms.size());
  const size_t kept = std::min(all, window);
  std::fill(values.begin() + ops::kWindow, values.end(), 0.0);
  values[ops::kInARow] = history.in_a_row;
  values[ops::kSkipped] = static_cast<double>(history.skipped);
  values[ops::kKept] = static_cast<double>(kept);
  values[ops::kNext] = static_cast<double>(kept % window);
  for (size_t i = 0; i < kept; ++i) {
    values[ops::kWindow + i] = history.losses[all - kept + i];
    values[ops::kWindow + window + i] = history.norms[all - kept + i];
  }
  EISBACH_RETURN_IF_ERROR(stream.device().CopyToDevice(
      state_.raw(), values.data(), state_.bytes(), stream));
  return stream.Synchronize();
}

}  // namespace eisbach::optim
