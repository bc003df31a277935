#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "checkpoint/manifest.h"
#include "core/one_thread.h"
#include "ops/optimizer.h"
#include "optim/gradient_norm.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "optim/step_guard.h"
#include "optim/step_state.h"
#include "parallel/context.h"
#include "parallel/data/divided_weights.h"
#include "parallel/data/division_groups.h"
#include "parallel/data/gradient_sum.h"
#include "parallel/data/matrix_work.h"
#include "tensor/flat_buffer.h"
#include "train/requests.h"

namespace eisbach::train {

struct UpdateConfig {
  optim::OptimizerConfig optimizer;
  optim::ScheduleConfig schedule;
  double clip_grad_norm;  // 0: no clipping
  DType compute_dtype;
  int64_t bucket_bytes;  // of f32 gradient, about
  uint64_t seed;         // of the initial values and of random rounding
  // In f16 alone; see ops/loss_scale.h.
  float initial_loss_scale = 65536;
  int loss_scale_window = 1000;  // finite steps until it doubles
  // False: all but new adapters is zero, and whoever makes the update fills it
  // from files; drawing values that are replaced takes longer than reading.
  bool initial_values = true;
  // What ranks that see other samples divide among them.
  parallel::ZeroConfig zero{};

  // Whether the loss has a scale, which follows the gradients.
  bool scales_loss() const { return compute_dtype == DType::kF16; }
};

// The weights of a rank and how they change: flat buckets, the reduction of
// their gradients over all layouts, clipping by the global norm, the optimizer.
//
//   update->BeginStep(micro_batches);
//   ... forward and backward, which fill the gradients ...
//   update->Finish();
//
// Every rank of the mesh makes the same calls, one thread at a time:
// FailedPrecondition for a second, and in a fork. Serves the Engine and models
// that a user composes.
class Update {
 public:
  // What Make refuses of `config` whatever the parameters are, where so many
  // ranks see other samples. Messages name the key and the bound.
  static absl::Status Validate(const UpdateConfig& config, int data_ranks);

  // `parameters` in the order of forward; a parameter that a micro-batch uses
  // twice is listed twice. Binds them, gives them their initial values, and
  // becomes their gradient sink. They and `context` outlive the update.
  //
  // `sums` further f64 numbers are summed over all ranks with the norm.
  static absl::StatusOr<std::unique_ptr<Update>> Make(
      absl::Span<Parameter* const> parameters, const UpdateConfig& config,
      int sums, const parallel::ParallelContext& context);

  // Judges each step from the next one on, before it changes a weight; then
  // Finish is given the losses. Nothing where `config` does not judge.
  absl::Status Guard(const optim::SpikeConfig& config);
  // Null where steps are not judged.
  optim::StepGuard* guard() { return guard_.get(); }

  // NextStep, then ExpectGradients.
  absl::Status BeginStep(int micro_batches);
  // Counts a step and writes what it changes where kernels read it. OutOfRange
  // past the end of the schedule, where no learning rate is set.
  absl::Status NextStep();
  // Forgets the gradients and sets the sums to 0. This and Finish, with what
  // is between them, are the same in every step.
  absl::Status ExpectGradients(int micro_batches);

  // Reduces what is left, then updates the weights. With a loss scale a step
  // whose norm is not finite changes no weight, and the scale halves. Without
  // one, or where no scale helps, nothing changes any more until
  // ForgetNonFinite. `tokens` are those that count, one of the sums: norm and
  // update are those of the mean over them; if there is none, nothing changes
  // either. `losses` are those of the sums that a guard judges.
  absl::Status Finish(const ops::CountedTokens& tokens = {},
                      const Tensor* losses = nullptr);

  // f64 [sums]: a rank's part before Finish, the sum over all ranks after it.
  // BeginStep sets it to 0.
  const Tensor& sums() const { return sums_; }
  // f64 [1], after Finish: the square of the norm of the whole gradient.
  const Tensor& norm_squared() const { return norm_squared_; }

  // What all ranks are asked for; the next step carries it.
  Requests& requests() { return *requests_; }

  // f64 [OutcomeSize(sums)]: the norm's square, the sums, how many ranks made
  // each request, the loss scale of the step, the guard's verdict
  // (ops::VerdictIndex), and of norm and sums this rank's part, where a guard
  // would compare it with another run of the step.
  const Tensor& outcome() const { return outcome_; }
  static constexpr int OutcomeSize(int sums) {
    return 1 + sums + kRequests + 1 + ops::kVerdictSize + 1 + sums;
  }

  absl::Status ForgetNonFinite();

  // f32 [1] in device memory, what the loss's gradient must be multiplied by;
  // undefined where the loss has no scale.
  Tensor loss_scale() const;
  // Of the next step; nothing where the loss has none. Waits for the device.
  absl::StatusOr<std::optional<optim::LossScale>> ReadLossScale() const;
  // Of the steps so far; nothing where none is judged. Waits for the device.
  absl::StatusOr<std::optional<optim::SpikeHistory>> ReadHistory() const;

  int64_t step() const { return step_; }  // steps begun
  void set_step(int64_t step) { step_ = step; }
  // As if `step` steps had been made, after weights and optimizer state were
  // loaded. `loss_scale` and `history`: nothing where they were trained in
  // another type, or not judged; then what is needed begins anew.
  absl::Status Resume(int64_t step,
                      const std::optional<optim::LossScale>& loss_scale,
                      const std::optional<optim::SpikeHistory>& history);
  // The checkpoint that was loaded, or saved, last: known on rank 0 of those
  // that are saved.
  const std::optional<checkpoint::ManifestId>& checkpoint() const {
    return checkpoint_;
  }
  void set_checkpoint(std::optional<checkpoint::ManifestId> id) {
    checkpoint_ = id;
  }
  // Of the step begun last, or what was set since.
  double learning_rate() const;
  // From the next step on this one instead of the schedule's, until it is given
  // nothing. InvalidArgument when it is below 0 or more than f32 holds.
  absl::Status SetLearningRate(std::optional<double> learning_rate);

  // Rounds the masters to the compute dtype, after writing to them, and where
  // they are divided brings those of others; before the first step their
  // average is theirs. Collective.
  absl::Status RefreshData();
  // Before forward passes that are no step, such as an evaluation. Collective.
  absl::Status BeginPass();
  // Makes the device wait for weights that are on their way from other ranks:
  // for who reads them past the layers or writes masters, and where captured
  // work ends.
  absl::Status WaitForWeights();

  const parallel::ParallelContext& context() const { return context_; }
  const optim::StepState& state() const { return state_; }
  FlatBuffer& buffer() { return *buffer_; }
  optim::Optimizer& optimizer() { return *optimizer_; }
  const parallel::GradientSum& reducer() const { return *reducer_; }
  const parallel::DivisionGroups& groups() const { return *groups_; }
  // Each once, in the order of forward.
  const std::vector<Parameter*>& parameters() const { return parameters_; }

 private:
  Update(const UpdateConfig& config, const parallel::ParallelContext& context,
         optim::LearningRateSchedule schedule, optim::StepState state)
      : config_(config),
        context_(context),
        schedule_(schedule),
        state_(std::move(state)) {}

  // Of the configuration, to parameters_. Collective.
  absl::Status ApplyGroups();
  // Buckets and whoever works on them. Collective.
  absl::Status MakeBuckets(const parallel::ParameterUses& uses);
  absl::Status ConnectBuckets(const parallel::ParameterUses& uses);
  absl::Status MakeOutcome(int sums);
  absl::Status SumTiedGradients();
  // This rank's part of the norm, from gradients that are summed.
  absl::Status ComputeNorm();

  OneThread users_{"Update"};
  UpdateConfig config_;
  const parallel::ParallelContext& context_;
  optim::LearningRateSchedule schedule_;
  std::optional<double> set_learning_rate_;
  optim::StepState state_;
  std::vector<Parameter*> parameters_;
  std::optional<parallel::DivisionGroups> groups_;
  std::unique_ptr<FlatBuffer> buffer_;
  std::unique_ptr<parallel::MatrixWork> matrix_work_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::unique_ptr<parallel::GradientSum> reducer_;
  std::unique_ptr<parallel::DividedWeights> weights_;  // null: whole
  std::unique_ptr<optim::GradientNorm> norm_;
  std::unique_ptr<Requests> requests_;
  std::unique_ptr<optim::StepGuard> guard_;  // null: none
  Tensor outcome_;  // f64, of which the others are parts
  Tensor reduced_;  // norm_squared_, sums_ and requested_
  Tensor norm_squared_;
  Tensor sums_;
  Tensor requested_;
  Tensor used_loss_scale_;
  Tensor verdict_;
  Tensor mine_;  // of norm_squared_ and sums_
  int64_t step_ = 0;
  std::optional<checkpoint::ManifestId> checkpoint_;
};

}  // namespace eisbach::train
