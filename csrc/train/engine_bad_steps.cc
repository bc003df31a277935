// What an engine does with a step that is not as it should be.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "train/diagnose.h"
#include "train/engine.h"
#include "train/spikes.h"

namespace eisbach::train {
namespace {

// What ranks asked for with a step that was then computed again.
void Join(const StepResult& before, StepResult& result) {
  result.asked_to_stop |= before.asked_to_stop;
  result.asked_to_save |= before.asked_to_save;
  result.asked_to_advance =
      std::max(result.asked_to_advance, before.asked_to_advance);
}

}  // namespace

absl::StatusOr<StepResult> Engine::Take(StepInput& input) {
  EISBACH_ASSIGN_OR_RETURN(StepResult result, results_->Pop());
  comm::Activity* activity = context_.world().communicator().activity();
  if (activity != nullptr) activity->EndStep(result.step);
  input = std::move(inputs_.front());
  inputs_.pop_front();
  if (!asked_.empty()) {
    Join(asked_.front(), result);
    asked_.pop_front();
  }
  return result;
}

absl::StatusOr<StepResult> Engine::Rerun(const StepInput& input,
                                         const StepResult& first) {
  const std::vector<double> parts = results_->parts();
  std::deque<StepInput> later = std::move(inputs_);
  inputs_.clear();
  std::deque<StepResult> asked = {first};
  for (size_t i = 0; i < later.size(); ++i) {
    EISBACH_ASSIGN_OR_RETURN(StepResult result, results_->Pop());
    if (!asked_.empty()) {
      Join(asked_.front(), result);
      asked_.pop_front();
    }
    asked.push_back(std::move(result));
  }
  asked_ = std::move(asked);
  if (replicas_ != nullptr) replicas_->Forget();
  // A second time there is no other way than to skip it, if it stays bad.
  Stream& stream = context_.device().compute_stream();
  EISBACH_RETURN_IF_ERROR(update_->guard()->SetSkips(true, stream));
  EISBACH_RETURN_IF_ERROR(update_->ForgetNonFinite());
  update_->set_step(first.step - 1);
  EISBACH_RETURN_IF_ERROR(Begin(input));
  StepInput again;
  EISBACH_ASSIGN_OR_RETURN(StepResult second, Take(again));
  EISBACH_ASSIGN_OR_RETURN(const RerunBits bits,
                           CompareRuns(parts, results_->parts(), context_));
  EISBACH_RETURN_IF_ERROR(update_->guard()->SetSkips(false, stream));
  const std::string why = SpikeText(first, config_.spikes);
  const bool good = second.spike.bad == ops::BadStep::kNone;
  if (bits.same) {
    second.why = absl::StrCat(
        why,
        ", and the same bits when it was computed again: it is the data, "
        "or training diverges");
  } else {
    second.why = absl::StrCat(
        why, ", and other bits when it was computed again (loss=", second.loss,
        ", grad_norm=", second.grad_norm, "): a fault of the machine",
        bits.where.empty() ? ""
                           : absl::StrCat("; they differ on ", bits.where));
  }
  if (!bits.same && good) {
    second.transient_fault = true;
    second.spike = first.spike;
    second.spike.is_void = false;
  }
  if (!bits.same && !good) {
    failed_alike_ = true;
    return absl::AbortedError(absl::StrCat(
        "step ", first.step, ": ", second.why,
        "; the second time was bad as well, so its ranks cannot be trusted"));
  }
  if (!second.spike.is_void) {
    for (const StepInput& next : later) EISBACH_RETURN_IF_ERROR(Begin(next));
  }
  return second;
}

absl::Status Engine::CompareReplicas(int64_t step) {
  if (replicas_ == nullptr) return absl::OkStatus();
  replicas_->Forget();
  EISBACH_RETURN_IF_ERROR(update_->WaitForWeights());
  EISBACH_RETURN_IF_ERROR(replicas_->Begin(step));
  return replicas_->begun(step) ? replicas_->End() : absl::OkStatus();
}

absl::Status Engine::Explain(const StepInput& input, const StepResult& result) {
  if (result.spike.bad >= ops::BadStep::kLossSpike) {
    return SpikeError(result, config_.spikes);
  }
  EISBACH_RETURN_IF_ERROR(Annotate(
      ExplainIds(input.tokens, input.targets, config_.model.vocab, context_),
      absl::StrCat("step ", result.step, ", which is void")));
  if (result.counted == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("step ", result.step,
                     ", which is void: no token of the global batch "
                     "counts, as every target is below 0"));
  }
  return Diagnose(input, result);
}

absl::Status Engine::Diagnose(const StepInput& input,
                              const StepResult& result) {
  // The weights are as they were, so the same step shows the same again; the
  // observer sees it all.
  Observations observations(context_.device());
  EISBACH_RETURN_IF_ERROR(observations.CheckParameters(update_->parameters()));
  program_->set_observer(&observations);
  update_->set_step(result.step - 1);
  EISBACH_RETURN_IF_ERROR(update_->NextStep());
  const auto compute = [&] { return Compute(input); };
  const absl::Status rerun =
      replay_ == nullptr ? compute() : replay_->Run(compute);
  program_->set_observer(nullptr);
  EISBACH_RETURN_IF_ERROR(rerun);
  const optim::SpikeConfig& spikes = config_.spikes;
  const std::string skipped =
      spikes.on_spike == optim::OnSpike::kStop
          ? ""
          : absl::StrCat(", after ", spikes.most_skips,
                         " skipped in a row (fault.most_skips)");
  return ExplainNonFinite(
      absl::StrCat("loss=", result.loss, " and grad_norm=", result.grad_norm,
                   " at step ", result.step, skipped),
      observations, context_);
}

}  // namespace eisbach::train
