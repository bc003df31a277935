#include "train/results.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/loss_scale.h"
#include "train/requests.h"

namespace eisbach::train {
namespace {

// Of an outcome.
constexpr int Values(int sums) { return 2 + kRequests + sums; }

}  // namespace

ResultQueue::ResultQueue(int sums, std::shared_ptr<void> memory)
    : sums_(sums), memory_(std::move(memory)) {
  for (int i = 0; i < kCapacity; ++i) {
    free_.push_back(static_cast<double*>(memory_.get()) + i * Values(sums));
  }
}

absl::StatusOr<std::unique_ptr<ResultQueue>> ResultQueue::Make(int sums,
                                                               Device& device) {
  EISBACH_ASSIGN_OR_RETURN(
      std::shared_ptr<void> memory,
      device.AllocateHost(kCapacity * Values(sums) * sizeof(double)));
  return std::unique_ptr<ResultQueue>(new ResultQueue(sums, std::move(memory)));
}

absl::Status ResultQueue::Push(int64_t step, double learning_rate,
                               const Tensor& outcome, Stream& stream) {
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
  waiting_.push_back({step, learning_rate, values, std::move(copied)});
  return absl::OkStatus();
}

absl::StatusOr<StepResult> ResultQueue::Pop() {
  if (waiting_.empty()) {
    return absl::FailedPreconditionError("no step's result waits to be read");
  }
  const Entry entry = std::move(waiting_.front());
  waiting_.pop_front();
  free_.push_back(entry.values);
  EISBACH_RETURN_IF_ERROR(entry.copied.Wait());
  const double* requested = entry.values + 1 + sums_;
  const auto asked = [&](Request request) {
    return requested[static_cast<int>(request)] != 0;
  };
  StepResult result{.step = entry.step,
                    .loss = 0,
                    .grad_norm = std::sqrt(entry.values[0]),
                    .learning_rate = entry.learning_rate,
                    .loss_scale = requested[kRequests],
                    .asked_to_stop = asked(Request::kStop),
                    .asked_to_save = asked(Request::kSave)};
  for (int i = 1; i <= sums_; ++i) result.loss += entry.values[i];
  // As ops::UpdateLossScale has decided.
  result.skipped = std::isfinite(result.loss) &&
                   !std::isfinite(result.grad_norm) &&
                   result.loss_scale > ops::kLeastLossScale;
  return result;
}

}  // namespace eisbach::train
