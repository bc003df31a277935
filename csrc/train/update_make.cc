// How an update is made; what it does is in update.cc.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "ops/loss_scale.h"
#include "parallel/data/reducer.h"
#include "parallel/data/shard_reducer.h"
#include "parallel/data/weight_gather.h"
#include "parallel/data/weight_window.h"
#include "tensor/init.h"
#include "train/update.h"

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

absl::Status Update::Validate(const UpdateConfig& config, int data_ranks) {
  EISBACH_RETURN_IF_ERROR(CheckClipping(config.clip_grad_norm));
  EISBACH_RETURN_IF_ERROR(CheckLossScale(config));
  EISBACH_RETURN_IF_ERROR(
      optim::LearningRateSchedule::Make(config.schedule).status());
  EISBACH_RETURN_IF_ERROR(
      parallel::DivisionGroups::Validate(config.zero, data_ranks));
  return optim::Validate(config.optimizer, config.compute_dtype);
}

absl::StatusOr<std::unique_ptr<Update>> Update::Make(
    absl::Span<Parameter* const> parameters, const UpdateConfig& config,
    int sums, const parallel::ParallelContext& context) {
  EISBACH_RETURN_IF_ERROR(context.CheckJoined());
  Stream& stream = context.device().compute_stream();
  EISBACH_RETURN_IF_ERROR(Validate(config, context.data().size()));
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
  EISBACH_RETURN_IF_ERROR(update->MakeBuckets(uses));
  EISBACH_RETURN_IF_ERROR(update->MakeOutcome(sums));
  return update;
}

absl::Status Update::MakeBuckets(const parallel::ParameterUses& uses) {
  Stream& stream = context_.device().compute_stream();
  EISBACH_ASSIGN_OR_RETURN(
      groups_, parallel::DivisionGroups::Make(config_.zero, context_.data()));
  EISBACH_ASSIGN_OR_RETURN(
      buffer_,
      FlatBuffer::Make(parameters_, config_.compute_dtype, config_.bucket_bytes,
                       stream, groups_->division()));
  for (Parameter* parameter : parameters_) {
    const bool is_new = parameter->spec().role == AdapterRole::kFactor;
    if (!config_.initial_values && !is_new) continue;
    EISBACH_RETURN_IF_ERROR(InitParameter(*parameter, config_.seed, stream));
  }
  optim::OptimizerConfig optimizer = config_.optimizer;
  optimizer.seed = config_.seed;
  matrix_work_ = std::make_unique<parallel::MatrixWork>(
      groups_->divides() ? groups_->inside() : context_.data(),
      context_.tensor());
  EISBACH_ASSIGN_OR_RETURN(
      optimizer_,
      optim::MakeOptimizer(optimizer, *buffer_, stream, matrix_work_.get()));
  EISBACH_RETURN_IF_ERROR(ConnectBuckets(uses));
  EISBACH_RETURN_IF_ERROR(RefreshData());
  EISBACH_ASSIGN_OR_RETURN(optim::GradientNorm norm,
                           optim::GradientNorm::Make(*buffer_, stream));
  norm_ = std::make_unique<optim::GradientNorm>(std::move(norm));
  return absl::OkStatus();
}

absl::Status Update::ConnectBuckets(const parallel::ParameterUses& uses) {
  Stream& stream = context_.device().compute_stream();
  const bool divides = groups_->divides();
  comm::Communicator& ranks = divides ? groups_->inside() : context_.data();
  comm::Communicator* replicas = groups_->replicas();
  if (divides && config_.zero.zero >= 2) {
    EISBACH_ASSIGN_OR_RETURN(
        reducer_, parallel::ShardReducer::Make(*buffer_, ranks, uses, stream,
                                               replicas, config_.zero.wire));
  } else {
    EISBACH_ASSIGN_OR_RETURN(
        reducer_, parallel::GradientReducer::Make(*buffer_, ranks, uses, stream,
                                                  replicas));
  }
  if (!divides) return absl::OkStatus();
  if (config_.zero.zero == 3) {
    EISBACH_ASSIGN_OR_RETURN(
        weights_, parallel::WeightWindow::Make(*buffer_, ranks,
                                               config_.zero.prefetch, stream));
    return absl::OkStatus();
  }
  EISBACH_ASSIGN_OR_RETURN(
      weights_, parallel::WeightGather::Make(*buffer_, ranks, stream));
  return absl::OkStatus();
}

absl::Status Update::ApplyGroups() {
  const std::vector<optim::ParameterGroup>& groups = config_.optimizer.groups;
  const bool has_matrices = config_.optimizer.name == "muon";
  if (groups.empty() && !has_matrices) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(
      optim::GroupCounts counts,
      optim::ApplyGroups(groups, parameters_, has_matrices));
  if (groups.empty()) return absl::OkStatus();
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

}  // namespace eisbach::train
