#include "train/results.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/loss_scale.h"
#include "ops/preference_rule.h"
#include "train/update.h"

namespace eisbach::train {
namespace {

// Of an outcome whose sums are the losses and the totals.
constexpr int Values(int losses, int totals) {
  return Update::OutcomeSize(losses + totals);
}

}  // namespace

absl::StatusOr<double> LossSum::Mean() const {
  if (counted > 0) return loss / static_cast<double>(counted);
  return absl::InvalidArgumentError(
      "there is no mean loss, as no token counts: every target is below 0");
}

ResultQueue::ResultQueue(int losses, int totals, std::shared_ptr<void> memory)
    : losses_(losses), totals_(totals), memory_(std::move(memory)) {
  for (int i = 0; i < kCapacity; ++i) {
    free_.push_back(static_cast<double*>(memory_.get()) +
                    i * Values(losses, totals));
  }
}

absl::StatusOr<std::unique_ptr<ResultQueue>> ResultQueue::Make(int losses,
                                                               int totals,
                                                               Device& device) {
  EISBACH_ASSIGN_OR_RETURN(
      std::shared_ptr<void> memory,
      device.AllocateHost(kCapacity * Values(losses, totals) * sizeof(double)));
  return std::unique_ptr<ResultQueue>(
      new ResultQueue(losses, totals, std::move(memory)));
}

absl::Status ResultQueue::Push(int64_t step, double learning_rate,
                               double tokens, const Tensor& outcome,
                               Stream& stream) {
  if (outcome.raw() == nullptr) return absl::OkStatus();
  if (free_.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the results of ", kCapacity,
                     " steps wait to be read; read one before "
                     "the next step"));
  }
  double* values = free_.back();
  EISBACH_RETURN_IF_ERROR(stream.device().CopyToHost(values, outcome.raw(),
                                                     outcome.bytes(), stream));
  EISBACH_ASSIGN_OR_RETURN(Event copied, stream.Record());
  free_.pop_back();
  waiting_.push_back({step, learning_rate, tokens, values, std::move(copied)});
  return absl::OkStatus();
}

absl::StatusOr<StepResult> ResultQueue::Pop() {
  if (waiting_.empty()) {
    return absl::FailedPreconditionError("no step's result waits to be read");
  }
  const Entry entry = std::move(waiting_.front());
  waiting_.pop_front();
  free_.push_back(entry.values);
  popped_ = entry.values;
  EISBACH_RETURN_IF_ERROR(entry.copied.Wait());
  const double* totals = entry.values + 1 + losses_;
  const double counted = totals[0];
  const double* requested = totals + totals_;
  const auto asked = [&](Request request) {
    return requested[static_cast<int>(request)] != 0;
  };
  StepResult result{.step = entry.step,
                    .loss = 0,
                    .grad_norm = std::sqrt(entry.values[0]),
                    .learning_rate = entry.learning_rate,
                    .loss_scale = requested[kRequests],
                    .counted = static_cast<int64_t>(counted),
                    .asked_to_stop = asked(Request::kStop),
                    .asked_to_save = asked(Request::kSave),
                    .asked_to_advance = static_cast<int>(
                        requested[static_cast<int>(Request::kAdvance)])};
  for (int i = 1; i <= losses_; ++i) result.loss += entry.values[i];
  if (counted > 0) result.loss *= entry.tokens / counted;
  if (totals_ == ops::kPreferenceTotals && counted > 0) {
    result.rewards = Rewards{.chosen = totals[ops::kChosenReward] / counted,
                             .rejected = totals[ops::kRejectedReward] / counted,
                             .accuracy = totals[ops::kRight] / counted};
  }
  if (totals_ == kTermTotals && counted > 0) {
    const double mean = entry.tokens / counted;
    result.added = AddedLosses{.z_loss = totals[1] * mean,
                               .label_smoothing = totals[2] * mean};
  }
  const double* verdict = requested + kRequests + 1;
  result.spike = {
      .bad = static_cast<ops::BadStep>(static_cast<int>(verdict[ops::kBad])),
      .is_void = verdict[ops::kIsVoid] != 0,
      .limit = verdict[ops::kLimit],
      .median = verdict[ops::kMedian]};
  // As ops::UpdateLossScale has decided.
  const bool overflow = std::isfinite(result.loss) &&
                        !std::isfinite(result.grad_norm) &&
                        result.loss_scale > ops::kLeastLossScale;
  result.skipped = result.spike.bad == ops::BadStep::kNone
                       ? overflow
                       : !result.spike.is_void;
  return result;
}

std::vector<double> ResultQueue::parts() const {
  const int count = parts_size();
  std::vector<double> parts(popped_, popped_ + count);
  const double* end = popped_ + Values(losses_, totals_);
  parts.insert(parts.end(), end - count, end);
  return parts;
}

}  // namespace eisbach::train
