#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/one_thread.h"
#include "models/transformer.h"
#include "ops/cross_entropy.h"
#include "ops/preference.h"
#include "parallel/context.h"
#include "parallel/context/divided_sequence.h"
#include "parallel/pipeline/executor.h"
#include "parallel/pipeline/partition.h"
#include "parallel/pipeline/schedule.h"
#include "parallel/tensor/sequence.h"
#include "train/replicas.h"
#include "train/results.h"
#include "train/saves.h"
#include "train/stage_program.h"
#include "train/step_replay.h"
#include "train/step_times.h"
#include "train/update.h"

namespace eisbach::train {

// A model that learns which of two answers to prefer (ops/preference.h): rows
// are pairs, and what it is measured against is the model without its adapters,
// or, where it is `stored`, what StepInput::reference says.
struct PreferenceConfig {
  ops::PreferenceRule rule;
  bool stored_reference = false;
};

struct EngineConfig {
  models::ModelConfig model;
  UpdateConfig update;
  int64_t global_batch;  // samples a step, over all ranks
  int64_t micro_batch;   // samples that go through a stage at once
  nn::Recompute recompute;
  bool deferred_weights;  // weight gradients after the input's, in a batch
  std::string pipeline_schedule;
  std::vector<int> layers_per_stage;  // empty: balanced
  // Captures the third step of a shape, where the device can, and replays it.
  bool replays_steps = true;
  // Whether a GPU may multiply f32 in TF32 (Device::set_allows_tf32).
  bool tf32 = false;
  // Which steps are bad, and what is done then.
  optim::SpikeConfig spikes{};
  // Steps after which replicas compare their bits; 0: never.
  int64_t hash_every = 0;
  // Nothing: the next token is learned.
  std::optional<PreferenceConfig> preference{};
  int chunks = 0;  // of the model, on a stage; 0: the schedule's fewest
  // The first blocks of each stage, of which `recompute` speaks.
  int64_t recompute_layers = models::TransformerOptions::kAllBlocks;
  // Whether training divides tokens among a tensor group; nothing: where it can
  // (parallel/tensor/sequence.h).
  std::optional<bool> sequence{};
  // What the loss of tokens has besides; reported losses are without them.
  ops::LossTerms terms{};
  // Where ranks divide rows: see parallel::ContextRequest.
  parallel::ContextMethod context_method = parallel::ContextMethod::kAuto;
  int ulysses_group = 0;
  int context_neighbours = 0;

  // Of a micro-batch, those that a tensor group may divide.
  parallel::DividedTokens Tokens(const parallel::Mesh& mesh) const {
    return {micro_batch, model.context / mesh.size(Axis::kContext),
            mesh.size(Axis::kTensor)};
  }
  // What these stand for.
  absl::StatusOr<parallel::ContextExchange> ExchangeOn(
      const parallel::Mesh& mesh) const {
    return parallel::ChooseContextMethod(
        {context_method, ulysses_group, context_neighbours},
        {model.heads, model.kv_heads, mesh.size(Axis::kTensor),
         mesh.size(Axis::kContext)});
  }
};

// One rank of a training job: its stage of the model on a layout, and the step.
//
// Every rank of the mesh makes the same calls with its own samples. One thread
// at a time: FailedPrecondition for a second, and in a fork.
class Engine {
 public:
  // Checks that model, batch and layout fit (before anything is allocated),
  // builds the stage and gives the weights their initial values. `context`
  // outlives the engine.
  static absl::StatusOr<std::unique_ptr<Engine>> Make(
      const EngineConfig& config, const parallel::ParallelContext& context);

  // Checks alone, for a world of mesh.world_size() ranks.
  static absl::Status Validate(const EngineConfig& config,
                               const parallel::Mesh& mesh);

  // One training step, Submit and Collect.
  absl::StatusOr<StepResult> Step(const StepInput& input);

  // Gives a step to the device without waiting for it, while the results of at
  // most ResultQueue::kCapacity - 1 earlier ones wait to be collected.
  absl::Status Submit(const StepInput& input);
  // Waits for the oldest step whose result was not collected. A loss or norm
  // that is not finite leaves the weights as they were before that step, also
  // where later ones were submitted: those are void. It is an error that names
  // the first tensor that holds one, or the first id outside the vocabulary
  // where nobody looked before; so is a step in which no token counts. With a
  // loss scale that can still halve, a
  // norm that is not finite is no error: the step is `skipped`.
  //
  // Where config().spikes says so a bad step is `skipped` as well, or computed
  // once more from what is kept, with the same samples and dropout; then those
  // that were submitted after it come again by themselves.
  absl::StatusOr<StepResult> Collect();
  // From here on the results on rank 0 tell who is late: which rank is slow for
  // `steps` steps, or which link between ranks (StepTimes). Collective; nothing
  // in a world of one. What was captured is captured anew.
  absl::Status WatchStragglers(int steps);
  // Asks all ranks for something: the step that this one begins next carries
  // it, and each finds it in that step's result. From any thread.
  void Ask(Request request) { update_->requests().Ask(request); }
  // The checkpoints of this run. What is begun is written while training goes
  // on, where Saves::Prepare was told so; Collect advances it and gives its
  // end.
  Saves& saves() { return *saves_; }
  // What was found of the replicas; null where nothing is compared. Where bits
  // differ Collect gives the error of Replicas::End.
  const Replicas* replicas() const { return replicas_.get(); }
  // Whether Collect has given an error that every rank got: a step was void, or
  // replicas differ.
  bool failed_alike() const { return failed_alike_; }
  // For who computes with the model by other means than these methods.
  absl::StatusOr<OneThread::Use> Enter() { return users_.Enter(); }
  // Steps whose results wait.
  int submitted() const { return results_->size(); }

  // The mean loss over the tokens of all ranks' samples that count, or over
  // their pairs, without training. Samples of a rank must be a multiple of the
  // micro-batch, equal on all.
  absl::StatusOr<double> Evaluate(const StepInput& input);
  // Adds to `sum`: for a mean over several inputs.
  absl::Status Evaluate(const StepInput& input, LossSum& sum);

  // The sum of the losses of each sample, over its tokens that count: -log of
  // its likelihood. Of a micro-batch of one sample, and one data rank.
  absl::StatusOr<std::vector<double>> SampleLosses(const StepInput& input);
  // What the model thinks of this rank's pairs as it is, without training:
  // ops::kPairSums numbers for each sample, which are a multiple of the
  // micro-batch, equal on all ranks. Collective.
  absl::StatusOr<std::vector<double>> MeasurePairs(const StepInput& input);

  // Logits [B, T, vocab] of tokens i32 [B, T]; on one pipeline stage. Looks at
  // the tokens on the host.
  absl::StatusOr<Tensor> Logits(const Tensor& tokens);

  const EngineConfig& config() const { return config_; }
  const parallel::ParallelContext& context() const { return context_; }
  int64_t samples() const { return samples_; }  // of this rank in a step
  int micro_batches() const { return micro_batches_; }
  Update& update() { return *update_; }
  models::Transformer& model() { return *model_; }
  // Of each chunk of this rank, in the order of the model.
  const std::vector<models::StageLayers>& layers() const { return layers_; }
  const parallel::ScheduleShape& shape() const { return schedule_.shape; }
  // Whether a step divides tokens among the tensor group, and why not, where
  // nobody forbade it (parallel::WholeTokensText).
  bool divides_tokens() const { return divides_tokens_; }
  std::string WholeTokensText() const {
    return parallel::WholeTokensText(config_.sequence,
                                     config_.Tokens(context_.mesh()));
  }
  // How ranks that divide rows see one another's keys, in words; empty where
  // rows are whole.
  std::string ContextText() const {
    return parallel::ContextText(*config_.ExchangeOn(context_.mesh()),
                                 context_.size(Axis::kContext));
  }

 private:
  Engine(const EngineConfig& config, const parallel::ParallelContext& context)
      : config_(config), context_(context) {}

  // The model's output of tokens i32 [B, T], before the head.
  absl::StatusOr<Tensor> Hidden(const Tensor& tokens);
  nn::ForwardContext MakeContext(bool training) const;
  // Puts all of a step on the device: Run checks and counts it, Compute is
  // what every step does.
  absl::Status Run(const StepInput& input);
  absl::Status Compute(const StepInput& input);
  // Run, and has its result collected.
  absl::Status Begin(const StepInput& input);
  // The oldest result, and its input.
  absl::StatusOr<StepResult> Take(StepInput& input);
  // Computes a step again that is void, as are those after it.
  absl::StatusOr<StepResult> Rerun(const StepInput& input,
                                   const StepResult& first);
  // Without training: the losses of each micro-batch and how many tokens
  // count, [micro-batches + 1], summed over all ranks.
  absl::StatusOr<std::vector<double>> ReadLosses(const StepInput& input);
  absl::StatusOr<std::vector<double>> ComputeLosses(const StepInput& input);
  // Whether replicas still have the same bits where a step ends the run: wrong
  // ones may be why, and may be in every checkpoint since they were compared.
  absl::Status CompareReplicas(int64_t step);
  // Why a step is void.
  absl::Status Explain(const StepInput& input, const StepResult& result);
  // Runs a step that was not finite again and says where it began.
  absl::Status Diagnose(const StepInput& input, const StepResult& result);
  // measures: the reference is what is looked for.
  absl::Status CheckInput(const StepInput& input, bool measures = false) const;
  absl::Status CheckPairs(const StepInput& input, bool measures) const;
  absl::Status CheckIds(const StepInput& input) const;
  static absl::Status ValidatePairs(const EngineConfig& config);
  // Whether this rank's losses and totals are those that are summed: of ranks
  // that compute the same, one does.
  bool counts() const;
  // How many totals follow the losses in the sums of a step.
  int totals() const;
  // What the reference thinks of pairs, f64 [samples, ops::kPairSums], on the
  // last stage: that of `input`, or the model without its adapters.
  absl::StatusOr<Tensor> Reference(const StepInput& input);
  absl::Status RunForward(int64_t samples);
  // `sums`: f64 [micro-batches + totals()], the losses and what counts.
  absl::Status RunActions(const StepInput& input, bool training,
                          const Tensor& sums, float scale);
  double Tokens(const StepInput& input) const;  // or pairs, of all ranks

  OneThread users_{"Engine"};
  EngineConfig config_;
  const parallel::ParallelContext& context_;
  std::vector<models::StageLayers> layers_;
  int64_t samples_ = 0;
  int micro_batches_ = 0;
  bool divides_tokens_ = false;
  std::unique_ptr<models::Transformer> model_;
  std::unique_ptr<parallel::DividedSequence> sequence_;  // null: whole rows
  std::unique_ptr<Update> update_;
  std::unique_ptr<Saves> saves_;
  std::unique_ptr<parallel::Executor> executor_;
  std::unique_ptr<TransformerProgram> program_;
  parallel::Schedule schedule_;
  std::unique_ptr<StepReplay> replay_;  // null: call by call
  std::unique_ptr<ResultQueue> results_;
  std::unique_ptr<Replicas> replicas_;  // null: none are compared
  std::unique_ptr<StepTimes> times_;    // null: nobody looks for who is late
  std::deque<StepInput> inputs_;        // of the steps whose results wait
  // Of the first of these, where they were submitted before: what ranks asked.
  std::deque<StepResult> asked_;
  bool failed_alike_ = false;
  // Of ranks that do not count theirs.
  Tensor unused_sums_;
};

}  // namespace eisbach::train
