#include "train/update.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "ops/loss_scale.h"
#include "parallel/tensor/shared_gradients.h"
#include "tensor/init.h"

namespace eisbach::train {
namespace {

absl::Status CheckClipping(double norm) {
  if (norm < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("clip_grad_norm=", norm,
                     " is below 0 (optimizer.clip_grad_norm); nearest that "
                     "works: 0, which never clips"));
  }
  return CheckFitsF32("clip_grad_norm", norm, "optimizer.clip_grad_norm");
}

absl::Status CheckLossScale(const UpdateConfig& config) {
  const float scale = config.initial_loss_scale;
  if (!(scale >= ops::kLeastLossScale && scale <= ops::kMostLossScale)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "initial_loss_scale=", scale, " is outside [", ops::kLeastLossScale,
        ", ", static_cast<int64_t>(ops::kMostLossScale),
        "] (precision.initial_loss_scale)"));
  }
  const int window = config.loss_scale_window;
  if (window < 1 || window > ops::kMostLossScaleWindow) {
    return absl::InvalidArgumentError(absl::StrCat(
        "loss_scale_window=", window, " is outside [1, ",
        ops::kMostLossScaleWindow, "] (precision.loss_scale_window)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Update::Validate(const UpdateConfig& config) {
  EISBACH_RETURN_IF_ERROR(CheckClipping(config.clip_grad_norm));
  EISBACH_RETURN_IF_ERROR(CheckLossScale(config));
  EISBACH_RETURN_IF_ERROR(
      optim::LearningRateSchedule::Make(config.schedule).status());
  return optim::Validate(config.optimizer, config.compute_dtype);
}

absl::StatusOr<std::unique_ptr<Update>> Update::Make(
    absl::Span<Parameter* const> parameters, const UpdateConfig& config,
    int sums, const parallel::ParallelContext& context) {
  EISBACH_RETURN_IF_ERROR(context.CheckJoined());
  Stream& stream = context.device().compute_stream();
  EISBACH_RETURN_IF_ERROR(Validate(config));
  EISBACH_ASSIGN_OR_RETURN(optim::LearningRateSchedule schedule,
                           optim::LearningRateSchedule::Make(config.schedule));
  EISBACH_ASSIGN_OR_RETURN(optim::StepState state,
                           optim::StepState::Make(stream));
  if (config.scales_loss()) {
    EISBACH_RETURN_IF_ERROR(
        state.SetLossScale({.scale = config.initial_loss_scale}, stream));
  }
  std::unique_ptr<Update> update(
      new Update(config, context, schedule, std::move(state)));
  parallel::ParameterUses uses;
  for (Parameter* parameter : parameters) {
    if (uses[parameter]++ == 0) update->parameters_.push_back(parameter);
  }
  EISBACH_RETURN_IF_ERROR(update->ApplyGroups());
  EISBACH_ASSIGN_OR_RETURN(
      update->buffer_,
      FlatBuffer::Make(update->parameters_, config.compute_dtype,
                       config.bucket_bytes, stream));
  for (Parameter* parameter : update->parameters_) {
    const bool is_new = parameter->spec().role == AdapterRole::kFactor;
    if (!config.initial_values && !is_new) continue;
    EISBACH_RETURN_IF_ERROR(InitParameter(*parameter, config.seed, stream));
  }
  optim::OptimizerConfig optimizer = config.optimizer;
  optimizer.seed = config.seed;
  EISBACH_ASSIGN_OR_RETURN(
      update->optimizer_,
      optim::MakeOptimizer(optimizer, *update->buffer_, stream));
  EISBACH_RETURN_IF_ERROR(update->RefreshData());
  EISBACH_ASSIGN_OR_RETURN(update->reducer_,
                           parallel::GradientReducer::Make(
                               *update->buffer_, context.data(), uses, stream));
  EISBACH_ASSIGN_OR_RETURN(optim::GradientNorm norm,
                           optim::GradientNorm::Make(*update->buffer_, stream));
  update->norm_ = std::make_unique<optim::GradientNorm>(std::move(norm));
  EISBACH_RETURN_IF_ERROR(update->MakeOutcome(sums));
  return update;
}

absl::Status Update::ApplyGroups() {
  const std::vector<optim::ParameterGroup>& groups = config_.optimizer.groups;
  if (groups.empty()) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(optim::GroupCounts counts,
                           optim::ApplyGroups(groups, parameters_));
  Device& device = context_.device();
  // The other stages' names are not there.
  if (device.type() == DeviceType::kMeta) return absl::OkStatus();
  std::vector<int64_t> host = counts.decided;
  host.push_back(counts.trained);
  Stream& stream = device.compute_stream();
  EISBACH_ASSIGN_OR_RETURN(
      Tensor sums, Tensor::Empty(Shape{static_cast<int64_t>(host.size())},
                                 DType::kI64, device));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(sums.raw(), host.data(), sums.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(
      context_.everyone().AllReduce(sums, comm::ReduceOp::kSum, stream));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(host.data(), sums.raw(), sums.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  counts.trained = host.back();
  host.pop_back();
  counts.decided = std::move(host);
  return optim::CheckCounts(groups, counts, parameters_);
}

absl::Status Update::MakeOutcome(int sums) {
  Stream& stream = context_.device().compute_stream();
  const int reduced = 1 + sums + kRequests;
  EISBACH_ASSIGN_OR_RETURN(requests_, Requests::Make(stream));
  EISBACH_ASSIGN_OR_RETURN(
      outcome_, Tensor::Zeros(Shape{OutcomeSize(sums)}, DType::kF64, stream));
  EISBACH_ASSIGN_OR_RETURN(reduced_, outcome_.Narrow(0, 0, reduced));
  EISBACH_ASSIGN_OR_RETURN(norm_squared_, outcome_.Narrow(0, 0, 1));
  EISBACH_ASSIGN_OR_RETURN(sums_, outcome_.Narrow(0, 1, sums));
  EISBACH_ASSIGN_OR_RETURN(requested_, outcome_.Narrow(0, 1 + sums, kRequests));
  EISBACH_ASSIGN_OR_RETURN(used_loss_scale_, outcome_.Narrow(0, reduced, 1));
  EISBACH_ASSIGN_OR_RETURN(verdict_,
                           outcome_.Narrow(0, reduced + 1, ops::kVerdictSize));
  EISBACH_ASSIGN_OR_RETURN(
      mine_, outcome_.Narrow(0, reduced + 1 + ops::kVerdictSize, 1 + sums));
  const double none = 1;
  EISBACH_RETURN_IF_ERROR(context_.device().CopyToDevice(
      used_loss_scale_.raw(), &none, sizeof(none), stream));
  return stream.Synchronize();
}

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
  EISBACH_RETURN_IF_ERROR(
      parallel::SumSharedGradients(parameters_, context_.tensor(), stream));
  EISBACH_RETURN_IF_ERROR(SumTiedGradients());
  // Along data x context all ranks hold the same gradient: one counts it.
  if (context_.data().rank() == 0) {
    EISBACH_RETURN_IF_ERROR(norm_->Compute(stream));
    EISBACH_RETURN_IF_ERROR(device.CopyOnDevice(
        norm_squared_.raw(), norm_->partial().raw(), sizeof(double), stream));
  }
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
  EISBACH_RETURN_IF_ERROR(optimizer_->Step(state_, stream));
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
    EISBACH_RETURN_IF_ERROR(context_.tied()->AllReduce(
        parameter->grad(), comm::ReduceOp::kSum, stream));
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
  if (config_.compute_dtype == DType::kF32) return absl::OkStatus();
  Stream& stream = context_.device().compute_stream();
  if (step_ > 0) {
    // Random rounding depends on the step.
    EISBACH_RETURN_IF_ERROR(state_.Begin(step_, learning_rate(),
                                         config_.optimizer.beta1,
                                         config_.optimizer.beta2, stream));
  }
  return optimizer_->RefreshData(state_, stream);
}

}  // namespace eisbach::train
