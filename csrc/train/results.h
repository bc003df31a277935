#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/saver.h"
#include "device/device.h"
#include "device/event.h"
#include "tensor/tensor.h"

namespace eisbach::train {

struct StepResult {
  int64_t step;  // counted from 1
  double loss;   // mean over the tokens of the global batch that count
  double grad_norm;
  double learning_rate;
  double loss_scale = 1;  // what the loss was multiplied by in backward
  bool skipped = false;   // that was too much: the weights did not change
  int64_t counted = 0;    // tokens of the global batch whose target counts
  // Whether a rank asked for it before it began this step (Engine::Ask): the
  // same on all ranks.
  bool asked_to_stop = false;
  bool asked_to_save = false;
  // How many ranks were ready to go on with a checkpoint.
  int asked_to_advance = 0;
  // Of a checkpoint that was begun before this step (Engine::BeginSave): how it
  // ended, in the result after which it did. The same on all ranks.
  std::optional<checkpoint::SaveOutcome> saved{};
};

// What evaluations add up, over all ranks.
struct LossSum {
  double loss = 0;  // of the tokens that count
  int64_t counted = 0;

  // InvalidArgument when no token counts.
  absl::StatusOr<double> Mean() const;
};

// What steps leave on the device, on its way to the host: it is copied when the
// stream comes to it and read when somebody asks, so that a step need not be
// over before the next is given to the device.
class ResultQueue {
 public:
  // Steps whose results may lie unread.
  static constexpr int kCapacity = 4;

  // `losses`: parts of the loss.
  static absl::StatusOr<std::unique_ptr<ResultQueue>> Make(int losses,
                                                           Device& device);

  // Takes an `outcome` (see Update) whose sums are the parts of the loss, as a
  // mean over `tokens` tokens, and how many of these count. Nothing on meta.
  // FailedPrecondition when it is full.
  absl::Status Push(int64_t step, double learning_rate, double tokens,
                    const Tensor& outcome, Stream& stream);

  int size() const { return static_cast<int>(waiting_.size()); }
  // The oldest; waits for it. FailedPrecondition when there is none.
  absl::StatusOr<StepResult> Pop();

 private:
  struct Entry {
    int64_t step;
    double learning_rate;
    double tokens;
    double* values;
    Event copied;
  };

  ResultQueue(int losses, std::shared_ptr<void> memory);

  const int losses_;
  const std::shared_ptr<void> memory_;
  std::deque<Entry> waiting_;
  std::vector<double*> free_;
};

}  // namespace eisbach::train
