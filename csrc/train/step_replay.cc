#include "train/step_replay.h"

#include "core/status_macros.h"

namespace eisbach::train {

absl::Status StepReplay::Step(
    const StepInput& input,
    absl::FunctionRef<absl::Status(const StepInput&)> body) {
  EISBACH_RETURN_IF_ERROR(Fit(input));
  EISBACH_RETURN_IF_ERROR(Copy(input.tokens, input_.tokens));
  EISBACH_RETURN_IF_ERROR(Copy(input.targets, input_.targets));
  EISBACH_RETURN_IF_ERROR(Copy(input.sample_index, input_.sample_index));
  if (input.starts.defined()) {
    EISBACH_RETURN_IF_ERROR(Copy(input.starts, input_.starts));
  }
  if (input.reference.defined()) {
    EISBACH_RETURN_IF_ERROR(Copy(input.reference, input_.reference));
  }
  const auto work = [&] { return body(input_); };
  // A graph's parts cannot be timed.
  if (device_.tracer().recording()) return work_->Run(work);
  if (runs_ < kRunsBeforeCapture) {
    ++runs_;
    return work_->Run(work);
  }
  if (!work_->captured()) {
    EISBACH_RETURN_IF_ERROR(
        Annotate(work_->Capture(work),
                 "capture of a step (run.cuda_graphs=false trains without)"));
  }
  return work_->Replay();
}

absl::Status StepReplay::Run(absl::FunctionRef<absl::Status()> body) {
  return work_ == nullptr ? body() : work_->Run(body);
}

absl::Status StepReplay::Fit(const StepInput& input) {
  if (work_ != nullptr && input.tokens.shape() == input_.tokens.shape() &&
      input.starts.defined() == input_.starts.defined() &&
      input.reference.defined() == input_.reference.defined()) {
    return absl::OkStatus();
  }
  work_ = nullptr;
  runs_ = 0;
  const auto like = [&](const Tensor& tensor) {
    return Tensor::Empty(tensor.shape(), tensor.dtype(), device_);
  };
  EISBACH_ASSIGN_OR_RETURN(input_.tokens, like(input.tokens));
  EISBACH_ASSIGN_OR_RETURN(input_.targets, like(input.targets));
  EISBACH_ASSIGN_OR_RETURN(input_.sample_index, like(input.sample_index));
  input_.starts = Tensor();
  if (input.starts.defined()) {
    EISBACH_ASSIGN_OR_RETURN(input_.starts, like(input.starts));
  }
  input_.reference = Tensor();
  if (input.reference.defined()) {
    EISBACH_ASSIGN_OR_RETURN(input_.reference, like(input.reference));
  }
  EISBACH_ASSIGN_OR_RETURN(work_, device_.NewCapturedWork());
  return absl::OkStatus();
}

absl::Status StepReplay::Copy(const Tensor& from, const Tensor& to) {
  return device_.CopyOnDevice(to.raw(), from.raw(), from.bytes(),
                              device_.compute_stream());
}

}  // namespace eisbach::train
