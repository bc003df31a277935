#include "train/update.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/status_macros.h"
#include "ops/loss_scale.h"
#include "parallel/tensor/shared_gradients.h"

namespace eisbach::train {

absl::Status Update::Guard(const optim::SpikeConfig& config) {
  EISBACH_RETURN_IF_ERROR(optim::Validate(config));
  guard_ = nullptr;
  if (!config.judges()) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(
      optim::StepGuard guard,
      optim::StepGuard::Make(config, context_.device().compute_stream()));
  guard_ = std::make_unique<optim::StepGuard>(std::move(guard));
  return absl::OkStatus();
}

absl::Status Update::BeginStep(int micro_batches) {
  EISBACH_RETURN_IF_ERROR(NextStep());
  return ExpectGradients(micro_batches);
}

absl::Status Update::NextStep() {
  EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, users_.Enter());
  EISBACH_RETURN_IF_ERROR(context_.CheckJoined());
  if (!set_learning_rate_) {
    EISBACH_RETURN_IF_ERROR(schedule_.CheckStep(step_ + 1));
  }
  ++step_;
  Stream& stream = context_.device().compute_stream();
  EISBACH_RETURN_IF_ERROR(requests_->Begin(stream));
  return state_.Begin(step_, learning_rate(), config_.optimizer.beta1,
                      config_.optimizer.beta2, stream);
}

absl::Status Update::ExpectGradients(int micro_batches) {
  EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, users_.Enter());
  Device& device = context_.device();
  Stream& stream = device.compute_stream();
  EISBACH_RETURN_IF_ERROR(
      device.SetZero(reduced_.raw(), reduced_.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(device.CopyOnDevice(
      requested_.raw(), requests_->values().raw(), requested_.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(BeginPass());
  return reducer_->BeginStep(micro_batches);
}

absl::Status Update::Finish(const ops::CountedTokens& tokens,
                            const Tensor* losses) {
  EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, users_.Enter());
  EISBACH_RETURN_IF_ERROR(context_.CheckJoined());
  Device& device = context_.device();
  Stream& stream = device.compute_stream();
  std::optional<StepClock::Scope> part;
  part.emplace(device.step_clock(), StepPart::kReduction);
  EISBACH_RETURN_IF_ERROR(reducer_->Finish());
  EISBACH_RETURN_IF_ERROR(parallel::SumSharedGradients(
      parameters_, context_.tensor(), stream,
      groups_->divides() ? &groups_->inside() : nullptr));
  EISBACH_RETURN_IF_ERROR(SumTiedGradients());
  EISBACH_RETURN_IF_ERROR(ComputeNorm());
  if (guard_ != nullptr &&
      guard_->config().on_spike == optim::OnSpike::kRerun) {
    EISBACH_RETURN_IF_ERROR(device.CopyOnDevice(mine_.raw(), reduced_.raw(),
                                                mine_.bytes(), stream));
  }
  EISBACH_RETURN_IF_ERROR(
      context_.everyone().AllReduce(reduced_, comm::ReduceOp::kSum, stream));
  part.reset();
  part.emplace(device.step_clock(), StepPart::kOptimizer);
  EISBACH_RETURN_IF_ERROR(
      ops::ClipFactor(norm_squared_, static_cast<float>(config_.clip_grad_norm),
                      tokens, state_.values(), stream));
  if (guard_ != nullptr) {
    EISBACH_CHECK(losses != nullptr);
    EISBACH_RETURN_IF_ERROR(guard_->Judge(norm_squared_, *losses, tokens,
                                          config_.scales_loss(), state_,
                                          verdict_, stream));
  }
  // What no layer has waited for.
  EISBACH_RETURN_IF_ERROR(WaitForWeights());
  EISBACH_RETURN_IF_ERROR(optimizer_->Step(state_, stream));
  if (weights_ != nullptr) EISBACH_RETURN_IF_ERROR(weights_->Updated());
  if (config_.scales_loss()) {
    EISBACH_RETURN_IF_ERROR(
        ops::UpdateLossScale({.norm_squared = norm_squared_,
                              .losses = sums_,
                              .used = used_loss_scale_,
                              .window = config_.loss_scale_window,
                              .step_state = state_.values()},
                             stream));
  }
  return guard_ == nullptr ? absl::OkStatus()
                           : guard_->End(state_, verdict_, stream);
}

absl::Status Update::ComputeNorm() {
  // Along data x context each rank counts its part of a bucket; of those that
  // have the same part, one.
  if (groups_->replica() != 0) return absl::OkStatus();
  Stream& stream = context_.device().compute_stream();
  EISBACH_RETURN_IF_ERROR(norm_->Compute(stream));
  return context_.device().CopyOnDevice(
      norm_squared_.raw(), norm_->partial().raw(), sizeof(double), stream);
}

absl::Status Update::SumTiedGradients() {
  if (context_.tied() == nullptr) return absl::OkStatus();
  // By key, so that the first and the last stage sum in the same order.
  std::vector<Parameter*> tied;
  for (Parameter* parameter : parameters_) {
    if (!parameter->spec().tie_key.empty() && parameter->trains())
      tied.push_back(parameter);
  }
  std::sort(tied.begin(), tied.end(), [](Parameter* a, Parameter* b) {
    return a->spec().tie_key < b->spec().tie_key;
  });
  Stream& stream = context_.device().compute_stream();
  for (Parameter* parameter : tied) {
    if (parameter->own().elements == 0) continue;  // nor has the other stage
    EISBACH_RETURN_IF_ERROR(context_.tied()->AllReduce(
        parameter->reduced(), comm::ReduceOp::kSum, stream));
  }
  return absl::OkStatus();
}

absl::Status Update::ForgetNonFinite() {
  return state_.SetFinite(context_.device().compute_stream());
}

double Update::learning_rate() const {
  return set_learning_rate_.value_or(schedule_.At(step_));
}

absl::Status Update::SetLearningRate(std::optional<double> learning_rate) {
  constexpr float kMost = std::numeric_limits<float>::max();
  if (learning_rate && !(*learning_rate >= 0 && *learning_rate <= kMost)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "learning_rate=", *learning_rate, " is outside [0, ", kMost, "]"));
  }
  set_learning_rate_ = learning_rate;
  return absl::OkStatus();
}

Tensor Update::loss_scale() const {
  return config_.scales_loss() ? state_.loss_scale() : Tensor();
}

absl::StatusOr<std::optional<optim::LossScale>> Update::ReadLossScale() const {
  if (!config_.scales_loss()) return std::nullopt;
  EISBACH_ASSIGN_OR_RETURN(
      const optim::LossScale scale,
      state_.ReadLossScale(context_.device().compute_stream()));
  return scale;
}

absl::StatusOr<std::optional<optim::SpikeHistory>> Update::ReadHistory() const {
  if (guard_ == nullptr) return std::nullopt;
  EISBACH_ASSIGN_OR_RETURN(optim::SpikeHistory history,
                           guard_->Read(context_.device().compute_stream()));
  return history;
}

absl::Status Update::Resume(int64_t step,
                            const std::optional<optim::LossScale>& loss_scale,
                            const std::optional<optim::SpikeHistory>& history) {
  if (guard_ != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        guard_->Restore(history.value_or(optim::SpikeHistory()),
                        context_.device().compute_stream()));
  }
  if (config_.scales_loss()) {
    const optim::LossScale first{.scale = config_.initial_loss_scale};
    EISBACH_RETURN_IF_ERROR(state_.SetLossScale(
        loss_scale.value_or(first), context_.device().compute_stream()));
  }
  step_ = step;
  return RefreshData();
}

absl::Status Update::RefreshData() {
  Stream& stream = context_.device().compute_stream();
  EISBACH_RETURN_IF_ERROR(WaitForWeights());
  if (step_ == 0) EISBACH_RETURN_IF_ERROR(optimizer_->StartAverage(stream));
  if (config_.compute_dtype != DType::kF32) {
    if (step_ > 0) {
      // Random rounding depends on the step.
      EISBACH_RETURN_IF_ERROR(state_.Begin(step_, learning_rate(),
                                           config_.optimizer.beta1,
                                           config_.optimizer.beta2, stream));
    }
    EISBACH_RETURN_IF_ERROR(optimizer_->RefreshData(state_, stream));
  }
  if (weights_ == nullptr) return absl::OkStatus();
  EISBACH_RETURN_IF_ERROR(weights_->Updated());
  // Whoever writes masters next must not meet them on their way.
  return weights_->Wait();
}

absl::Status Update::BeginPass() {
  return weights_ == nullptr ? absl::OkStatus() : weights_->BeginPass();
}

absl::Status Update::WaitForWeights() {
  return weights_ == nullptr ? absl::OkStatus() : weights_->Wait();
}

}  // namespace eisbach::train
