#pragma once

#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "device/device.h"
#include "train/stage_program.h"

namespace eisbach::train {

// Steps on a device that captures work: the first two of a shape are given to
// it call by call, the third is captured, and from then on a step is one call.
// All ranks count alike, as NCCL asks: of the ranks of a call all replay it or
// none does.
class StepReplay {
 public:
  // Two, as the first makes what is made once (plans, connections of NCCL) and
  // the second shows that nothing is left to make.
  static constexpr int kRunsBeforeCapture = 2;

  // `device` captures work, and outlives this.
  explicit StepReplay(Device& device) : device_(device) {}

  // Does `body` of `input`, whose tensors it may only read through its
  // argument: they stay where they are from step to step. The rest of what it
  // reads is where it was, or does not change.
  absl::Status Step(const StepInput& input,
                    absl::FunctionRef<absl::Status(const StepInput&)> body);

  // Other work, call by call in the memory of the steps where there is such,
  // so that it takes none beside it. It leaves no tensor behind.
  absl::Status Run(absl::FunctionRef<absl::Status()> body);

 private:
  // Forgets what was captured, if the shapes are others, or rows have documents
  // as they had none before.
  absl::Status Fit(const StepInput& input);
  absl::Status Copy(const Tensor& from, const Tensor& to);

  Device& device_;
  StepInput input_;  // where captured work reads
  std::unique_ptr<CapturedWork> work_;
  int runs_ = 0;
};

}  // namespace eisbach::train
