#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "optim/step_guard.h"
#include "parallel/context.h"
#include "train/results.h"

namespace eisbach::train {

// Why a step was skipped, as `loss_spike` or `gradient_overflow`; empty where
// it was not bad.
absl::string_view CauseOf(const StepResult& result);

// What is wrong with a step that is skipped or void, in words without its
// number: "loss=7.1 is above 3.8, ..." or "grad_norm=inf is not finite". Empty
// where nothing is.
std::string SpikeText(const StepResult& result,
                      const optim::SpikeConfig& config);

// The error of a step that is a spike and void: what it is, and what to do.
absl::Status SpikeError(const StepResult& result,
                        const optim::SpikeConfig& config);

// How the bits of a step that was computed twice differ between the two.
struct RerunBits {
  bool same = true;
  // The ranks whose own parts differ, with hosts: "rank 1 (node7) in the loss
  // of its samples"; the first few.
  std::string where;
};

// `first` and `second` are this rank's ResultQueue::parts of both. The same on
// all ranks; collective, blocking.
absl::StatusOr<RerunBits> CompareRuns(const std::vector<double>& first,
                                      const std::vector<double>& second,
                                      const parallel::ParallelContext& context);

}  // namespace eisbach::train
