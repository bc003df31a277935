#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/saver.h"
#include "device/device.h"
#include "device/event.h"
#include "ops/spike_rule.h"
#include "tensor/tensor.h"
#include "train/link_watch.h"
#include "watch/stragglers.h"

namespace eisbach::train {

// What was wrong with a step, where it was judged (ops/spike.h).
struct Spike {
  ops::BadStep bad = ops::BadStep::kNone;
  bool is_void = false;  // nothing changes until the host has said so
  double limit = 0;      // of a spike: what it is above
  double median = 0;     // of a spike: of the steps before it
};

// What a model has learned of pairs of answers: means over those of the global
// batch (ops/preference_rule.h).
struct Rewards {
  double chosen = 0;
  double rejected = 0;
  double accuracy = 0;  // pairs whose chosen reward is the higher
  double margin() const { return chosen - rejected; }
};

// What the loss of a step had besides the cross-entropy, as means over the
// tokens that count (ops::LossTerms).
struct AddedLosses {
  double z_loss = 0;
  double label_smoothing = 0;
};
// Totals of such a step: the tokens that count, and a sum of each.
inline constexpr int kTermTotals = 3;

struct StepResult {
  int64_t step;  // counted from 1
  // Mean over the tokens of the global batch that count, or over its pairs.
  double loss;
  double grad_norm;
  double learning_rate;
  double loss_scale = 1;  // what the loss was multiplied by in backward
  // The weights did not change: the step was bad (`spike`), or else this scale
  // was too much for its gradients.
  bool skipped = false;
  Spike spike{};
  // Tokens of the global batch whose target counts; of pairs, these.
  int64_t counted = 0;
  std::optional<Rewards> rewards{};    // where rows are pairs
  std::optional<AddedLosses> added{};  // where losses have such terms
  // What is wrong with a step that is skipped, or was at first with one that
  // was computed twice, and what that has shown; empty for others.
  std::string why{};
  bool transient_fault = false;  // the second time was another, and good
  // Whether a rank asked for it before it began this step (Engine::Ask): the
  // same on all ranks.
  bool asked_to_stop = false;
  bool asked_to_save = false;
  // How many ranks were ready to go on with a checkpoint.
  int asked_to_advance = 0;
  // On rank 0, where the ranks' times are watched: who is late, the link that
  // is, and lines on what has become so, or is so no more.
  std::vector<watch::Straggler> stragglers{};
  std::optional<SlowLink> slow_link{};
  std::vector<std::string> straggler_news{};
  // Of a checkpoint that was begun before this step (Engine::BeginSave): how it
  // ended, in the result after which it did. The same on all ranks.
  std::optional<checkpoint::SaveOutcome> saved{};
};

// What evaluations add up, over all ranks.
struct LossSum {
  double loss = 0;  // of the tokens that count, or of pairs
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

  // `losses`: parts of the loss; `totals`: what is counted beside them, 1 of
  // tokens, or kTermTotals, and ops::kPreferenceTotals of pairs.
  static absl::StatusOr<std::unique_ptr<ResultQueue>> Make(int losses,
                                                           int totals,
                                                           Device& device);

  // Takes an `outcome` (see Update) whose sums are the parts of the loss, as a
  // mean over `tokens` tokens, and the totals. Nothing on meta.
  // FailedPrecondition when it is full.
  absl::Status Push(int64_t step, double learning_rate, double tokens,
                    const Tensor& outcome, Stream& stream);

  int size() const { return static_cast<int>(waiting_.size()); }
  // The oldest; waits for it. FailedPrecondition when there is none.
  absl::StatusOr<StepResult> Pop();
  // Of the one popped last: norm, losses and tokens, over all ranks and then
  // this rank's part (see Update::outcome). Until the next Push.
  std::vector<double> parts() const;

 private:
  struct Entry {
    int64_t step;
    double learning_rate;
    double tokens;
    double* values;
    Event copied;
  };

  ResultQueue(int losses, int totals, std::shared_ptr<void> memory);

  // Of an outcome: norm, losses, totals.
  int parts_size() const { return 1 + losses_ + totals_; }

  const int losses_;
  const int totals_;
  const std::shared_ptr<void> memory_;
  const double* popped_ = nullptr;
  std::deque<Entry> waiting_;
  std::vector<double*> free_;
};

}  // namespace eisbach::train
