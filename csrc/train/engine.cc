#include "train/engine.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/document_starts.h"
#include "ops/ids.h"
#include "parallel/pipeline/forward_only.h"
#include "parallel/tensor/sequence.h"
#include "train/diagnose.h"
#include "train/spikes.h"
#include "train/stages.h"

namespace eisbach::train {
absl::StatusOr<std::unique_ptr<Engine>> Engine::Make(
    const EngineConfig& config, const parallel::ParallelContext& context) {
  EISBACH_RETURN_IF_ERROR(Validate(config, context.mesh()));
  std::unique_ptr<Engine> engine(new Engine(config, context));
  engine->samples_ = config.global_batch / context.size(Axis::kData);
  engine->micro_batches_ =
      static_cast<int>(engine->samples_ / config.micro_batch);
  const int stages = context.size(Axis::kPipeline);
  EISBACH_ASSIGN_OR_RETURN(
      engine->schedule_,
      MakeStepSchedule(config.pipeline_schedule, stages, config.chunks,
                       engine->micro_batches_, config.deferred_weights));
  EISBACH_ASSIGN_OR_RETURN(const auto parts,
                           DivideLayers(config.model, config.layers_per_stage,
                                        engine->schedule_.shape));
  engine->layers_ = ChunksOfStage(parts, engine->schedule_.shape,
                                  context.index(Axis::kPipeline));
  EISBACH_ASSIGN_OR_RETURN(
      engine->divides_tokens_,
      parallel::DividesTokens(config.sequence, config.Tokens(context.mesh())));
  EISBACH_ASSIGN_OR_RETURN(
      engine->model_,
      models::Transformer::Make(config.model, engine->layers_,
                                {.recompute = config.recompute,
                                 .recomputed_blocks = config.recompute_layers,
                                 .divides_tokens = engine->divides_tokens_},
                                context));
  if (engine->model_->IsLast(engine->model_->chunks() - 1)) {
    engine->model_->head().set_terms(config.terms);
  }
  std::vector<Parameter*> parameters;
  engine->model_->VisitParameters(
      [&](Parameter& parameter) { parameters.push_back(&parameter); });
  EISBACH_ASSIGN_OR_RETURN(
      engine->update_,
      Update::Make(parameters, config.update,
                   engine->micro_batches_ + engine->totals(), context));
  EISBACH_RETURN_IF_ERROR(engine->update_->Guard(config.spikes));
  if (config.hash_every > 0) {
    EISBACH_ASSIGN_OR_RETURN(
        engine->replicas_,
        Replicas::Make(engine->update_->parameters(), engine->update_->buffer(),
                       engine->update_->optimizer(), context));
  }
  engine->saves_ = std::make_unique<Saves>(*engine->update_);
  Stream& stream = context.device().compute_stream();
  EISBACH_ASSIGN_OR_RETURN(
      engine->executor_, parallel::Executor::Make(context.pipeline(), stream));
  EISBACH_ASSIGN_OR_RETURN(
      engine->results_, ResultQueue::Make(engine->micro_batches_,
                                          engine->totals(), context.device()));
  if (context.size(Axis::kContext) > 1) {
    EISBACH_ASSIGN_OR_RETURN(const parallel::ContextExchange exchange,
                             config.ExchangeOn(context.mesh()));
    EISBACH_ASSIGN_OR_RETURN(
        engine->sequence_,
        parallel::DividedSequence::Make(exchange, context.context(), stream));
    EISBACH_RETURN_IF_ERROR(
        engine->sequence_->Keep(config.micro_batch, config.model.context));
  }
  engine->program_ = std::make_unique<TransformerProgram>(
      *engine->model_, config.update.compute_dtype, engine->sequence_.get());
  if (engine->divides_tokens_) {
    EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> beside,
                             context.device().NewStream());
    engine->program_->DivideTokens(context.index(Axis::kTensor),
                                   context.size(Axis::kTensor),
                                   std::move(beside));
  }
  EISBACH_ASSIGN_OR_RETURN(
      engine->unused_sums_,
      Tensor::Zeros(Shape{engine->micro_batches_ + engine->totals()},
                    DType::kF64, stream));
  context.device().set_allows_tf32(config.tf32);
  if (config.replays_steps && context.device().captures_work()) {
    engine->replay_ = std::make_unique<StepReplay>(context.device());
  }
  return engine;
}

absl::StatusOr<StepResult> Engine::Step(const StepInput& input) {
  EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, users_.Enter());
  if (submitted() > 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        submitted(), " submitted steps wait to be collected before a step"));
  }
  EISBACH_RETURN_IF_ERROR(Submit(input));
  return Collect();
}

absl::Status Engine::WatchStragglers(int steps) {
  EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, users_.Enter());
  EISBACH_RETURN_IF_ERROR(context_.CheckJoined());
  if (context_.world().size() == 1) return absl::OkStatus();
  times_ = nullptr;
  EISBACH_ASSIGN_OR_RETURN(times_, StepTimes::Make(steps, context_));
  // What was captured before does not tell its times.
  if (replay_ != nullptr) {
    replay_ = std::make_unique<StepReplay>(context_.device());
  }
  return absl::OkStatus();
}

absl::Status Engine::Submit(const StepInput& input) {
  EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, users_.Enter());
  EISBACH_RETURN_IF_ERROR(context_.CheckJoined());
  saves_->BeforeStep();
  return Begin(input);
}

absl::Status Engine::Begin(const StepInput& input) {
  Stream& stream = context_.device().compute_stream();
  const int64_t step = update_->step() + 1;
  comm::Activity* activity = context_.world().communicator().activity();
  if (activity != nullptr) activity->BeginStep(step);
  const std::string name =
      context_.device().tracer().recording() ? absl::StrCat("step ", step) : "";
  const TraceSpan span(stream,
                       {.kind = SpanKind::kStep, .name = name, .index = step});
  EISBACH_RETURN_IF_ERROR(Run(input));
  EISBACH_RETURN_IF_ERROR(results_->Push(step, update_->learning_rate(),
                                         Tokens(input), update_->outcome(),
                                         stream));
  if (submitted() > 0) inputs_.push_back(input);
  if (times_ != nullptr) {
    EISBACH_RETURN_IF_ERROR(times_->EndStep(step));
    if (times_->wants_links()) {
      EISBACH_RETURN_IF_ERROR(update_->WaitForWeights());
      EISBACH_RETURN_IF_ERROR(times_->MeasureLinks());
    }
  }
  if (replicas_ == nullptr || step % config_.hash_every != 0) {
    return absl::OkStatus();
  }
  EISBACH_RETURN_IF_ERROR(update_->WaitForWeights());
  return replicas_->Begin(step);
}

absl::StatusOr<StepResult> Engine::Collect() {
  EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, users_.Enter());
  EISBACH_RETURN_IF_ERROR(context_.CheckJoined());
  StepInput input;
  EISBACH_ASSIGN_OR_RETURN(StepResult result, Take(input));
  if (result.spike.is_void &&
      config_.spikes.on_spike == optim::OnSpike::kRerun) {
    EISBACH_ASSIGN_OR_RETURN(result, Rerun(input, result));
  }
  if (times_ != nullptr) {
    times_->Collected(submitted());
    result.stragglers = times_->stragglers();
    result.slow_link = times_->slow_link();
    result.straggler_news = times_->TakeNews();
  }
  const bool finite =
      std::isfinite(result.loss) && std::isfinite(result.grad_norm);
  if (result.counted > 0 && !result.spike.is_void &&
      (finite || result.skipped)) {
    if (replicas_ != nullptr && replicas_->begun(result.step)) {
      const absl::Status equal = replicas_->End();
      failed_alike_ = replicas_->differ();
      EISBACH_RETURN_IF_ERROR(equal);
    }
    if (result.why.empty()) result.why = SpikeText(result, config_.spikes);
    result.saved = saves_->AfterStep(result.step, result.asked_to_advance);
    return result;
  }
  // Steps that were submitted after it have changed nothing.
  while (submitted() > 0) EISBACH_RETURN_IF_ERROR(results_->Pop().status());
  inputs_.clear();
  asked_.clear();
  absl::Status why = CompareReplicas(result.step);
  if (why.ok()) why = Explain(input, result);
  update_->set_step(result.step);
  EISBACH_RETURN_IF_ERROR(update_->ForgetNonFinite());
  failed_alike_ = true;
  return why;
}

absl::Status Engine::Run(const StepInput& input) {
  EISBACH_RETURN_IF_ERROR(CheckInput(input));
  if (input.tokens.dim(0) != samples_) {
    return absl::InvalidArgumentError(
        absl::StrCat("a step takes ", samples_, " samples of this rank, not ",
                     input.tokens.dim(0)));
  }
  EISBACH_RETURN_IF_ERROR(update_->NextStep());
  if (replay_ == nullptr) return Compute(input);
  return replay_->Step(
      input, [this](const StepInput& fixed) { return Compute(fixed); });
}

absl::Status Engine::Compute(const StepInput& input) {
  EISBACH_RETURN_IF_ERROR(update_->ExpectGradients(micro_batches_));
  const double tokens = Tokens(input);
  // Of all tokens: how many of them count is known when all have been seen.
  EISBACH_RETURN_IF_ERROR(RunActions(input, /*training=*/true,
                                     counts() ? update_->sums() : unused_sums_,
                                     static_cast<float>(1.0 / tokens)));
  EISBACH_ASSIGN_OR_RETURN(const Tensor counted,
                           update_->sums().Narrow(0, micro_batches_, 1));
  EISBACH_ASSIGN_OR_RETURN(const Tensor losses,
                           update_->sums().Narrow(0, 0, micro_batches_));
  EISBACH_RETURN_IF_ERROR(
      update_->Finish({.counted = &counted, .all = tokens}, &losses));
  // What was captured ends with all that it began.
  return replay_ == nullptr ? absl::OkStatus() : update_->WaitForWeights();
}

bool Engine::counts() const {
  // Whoever has a part of a pair computes its whole loss.
  return context_.index(Axis::kTensor) == 0 &&
         (!config_.preference || context_.index(Axis::kContext) == 0);
}

double Engine::Tokens(const StepInput& input) const {
  const int64_t mine =
      config_.preference ? input.tokens.dim(0) : input.tokens.elements();
  return static_cast<double>(mine) * context_.size(Axis::kData);
}

absl::Status Engine::RunForward(int64_t samples) {
  const int micro_batches = static_cast<int>(samples / config_.micro_batch);
  EISBACH_ASSIGN_OR_RETURN(
      parallel::Schedule forward,
      parallel::ForwardOnly(schedule_.shape, micro_batches));
  return executor_->Run(forward.shape,
                        forward.stages[context_.index(Axis::kPipeline)],
                        *program_);
}

absl::Status Engine::RunActions(const StepInput& input, bool training,
                                const Tensor& sums, float scale) {
  const int64_t samples = input.tokens.dim(0);
  const int64_t micro_batches = samples / config_.micro_batch;
  StepInput known = input;
  std::optional<PairTask> pairs;
  if (config_.preference) {
    EISBACH_ASSIGN_OR_RETURN(known.reference, Reference(input));
    pairs = PairTask{&config_.preference->rule};
  }
  LossSums places;
  EISBACH_ASSIGN_OR_RETURN(places.losses, sums.Narrow(0, 0, micro_batches));
  EISBACH_ASSIGN_OR_RETURN(places.counted,
                           sums.Narrow(0, micro_batches, totals()));
  EISBACH_RETURN_IF_ERROR(program_->Begin(std::move(known), config_.micro_batch,
                                          scale, places, MakeContext(training),
                                          std::move(pairs)));
  const int stage = context_.index(Axis::kPipeline);
  const absl::Status done =
      training
          ? executor_->Run(schedule_.shape, schedule_.stages[stage], *program_)
          : RunForward(samples);
  program_->Release();
  return done;
}

absl::StatusOr<double> Engine::Evaluate(const StepInput& input) {
  LossSum sum;
  EISBACH_RETURN_IF_ERROR(Evaluate(input, sum));
  return sum.Mean();
}

absl::Status Engine::Evaluate(const StepInput& input, LossSum& sum) {
  EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, users_.Enter());
  EISBACH_RETURN_IF_ERROR(context_.CheckJoined());
  EISBACH_RETURN_IF_ERROR(CheckInput(input));
  const comm::PhaseScope phase(context_.world().communicator().activity(),
                               comm::Phase::kValidation);
  const int64_t samples = input.tokens.dim(0);
  if (samples == 0 || samples % config_.micro_batch != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "evaluation takes a multiple of micro_batch=", config_.micro_batch,
        " samples, not ", samples, " (train.micro_batch)"));
  }
  EISBACH_ASSIGN_OR_RETURN(std::vector<double> sums, ReadLosses(input));
  sum.counted += static_cast<int64_t>(sums.back());
  sums.pop_back();
  sum.loss += std::accumulate(sums.begin(), sums.end(), 0.0);
  // It is no part of a step.
  return times_ == nullptr ? absl::OkStatus() : times_->Restart();
}

absl::StatusOr<std::vector<double>> Engine::SampleLosses(
    const StepInput& input) {
  EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, users_.Enter());
  EISBACH_RETURN_IF_ERROR(context_.CheckJoined());
  EISBACH_RETURN_IF_ERROR(CheckInput(input));
  if (config_.micro_batch != 1 || context_.size(Axis::kData) != 1) {
    return absl::FailedPreconditionError(
        absl::StrCat("losses of samples need micro_batch=1 and data=1, not ",
                     config_.micro_batch, " and ", context_.size(Axis::kData),
                     " (train.micro_batch, parallel.data)"));
  }
  EISBACH_ASSIGN_OR_RETURN(std::vector<double> losses, ReadLosses(input));
  losses.pop_back();
  return losses;
}

absl::StatusOr<std::vector<double>> Engine::ReadLosses(const StepInput& input) {
  std::vector<double> losses;
  const auto compute = [&]() -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(losses, ComputeLosses(input));
    return absl::OkStatus();
  };
  EISBACH_RETURN_IF_ERROR(replay_ == nullptr ? compute()
                                             : replay_->Run(compute));
  const bool finite = std::all_of(losses.begin(), losses.end(),
                                  [](double x) { return std::isfinite(x); });
  if (!finite) {
    EISBACH_RETURN_IF_ERROR(
        ExplainIds(input.tokens, input.targets, config_.model.vocab, context_));
  }
  return losses;
}

absl::StatusOr<std::vector<double>> Engine::ComputeLosses(
    const StepInput& input) {
  Device& device = context_.device();
  Stream& stream = device.compute_stream();
  const int64_t micro_batches = input.tokens.dim(0) / config_.micro_batch;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor sums,
      Tensor::Zeros(Shape{micro_batches + totals()}, DType::kF64, stream));
  EISBACH_RETURN_IF_ERROR(update_->BeginPass());
  EISBACH_RETURN_IF_ERROR(
      RunActions(input, /*training=*/false, sums, /*scale=*/1));
  if (!counts()) {
    EISBACH_RETURN_IF_ERROR(device.SetZero(sums.raw(), sums.bytes(), stream));
  }
  EISBACH_RETURN_IF_ERROR(
      context_.everyone().AllReduce(sums, comm::ReduceOp::kSum, stream));
  std::vector<double> host(micro_batches + totals());
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(host.data(), sums.raw(), sums.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  host.resize(micro_batches + 1);  // the totals of pairs are others' concern
  return host;
}

absl::StatusOr<Tensor> Engine::Logits(const Tensor& tokens) {
  EISBACH_ASSIGN_OR_RETURN(const OneThread::Use use, users_.Enter());
  EISBACH_RETURN_IF_ERROR(
      ops::ReadAndCheckIds(ops::IdKind::kToken, tokens, config_.model.vocab,
                           context_.device().compute_stream()));
  EISBACH_ASSIGN_OR_RETURN(Tensor hidden, Hidden(tokens));
  return model_->head().Logits(hidden, MakeContext(/*training=*/false));
}

absl::StatusOr<Tensor> Engine::Hidden(const Tensor& tokens) {
  EISBACH_RETURN_IF_ERROR(context_.CheckJoined());
  if (context_.size(Axis::kPipeline) != 1) {
    return absl::FailedPreconditionError(
        "logits need the whole model on a rank's stage (parallel.pipeline=1)");
  }
  autograd::GraphScope scope(nullptr);
  Tensor hidden = tokens;
  for (int chunk = 0; chunk < model_->chunks(); ++chunk) {
    EISBACH_ASSIGN_OR_RETURN(
        hidden,
        model_->Forward(hidden, MakeContext(/*training=*/false), chunk));
  }
  return hidden;
}

nn::ForwardContext Engine::MakeContext(bool training) const {
  return nn::ForwardContext{context_.device().compute_stream(),
                            training,
                            config_.update.seed,
                            update_->state().step(),
                            Tensor(),
                            update_->loss_scale()};
}

absl::Status Engine::CheckInput(const StepInput& input, bool measures) const {
  const auto is = [&](const Tensor& tensor, DType dtype, int rank) {
    return tensor.defined() && tensor.dtype() == dtype &&
           tensor.rank() == rank && tensor.contiguous() &&
           &tensor.device() == &context_.device();
  };
  if (!is(input.tokens, DType::kI32, 2) || !is(input.targets, DType::kI32, 2) ||
      !is(input.sample_index, DType::kI64, 1) ||
      input.tokens.shape() != input.targets.shape() ||
      input.sample_index.dim(0) != input.tokens.dim(0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a step takes tokens and targets, i32 [samples, T], and sample "
        "indices, i64 [samples], contiguous on the engine's device, not ",
        input.tokens.ToString(), ", ", input.targets.ToString(), " and ",
        input.sample_index.ToString()));
  }
  EISBACH_RETURN_IF_ERROR(parallel::Zigzag::Validate(
      input.tokens.dim(1), context_.size(Axis::kContext)));
  if (input.starts.defined()) {
    EISBACH_RETURN_IF_ERROR(
        ops::CheckStarts("a step", input.starts, input.tokens.shape(),
                         context_.device().compute_stream()));
  }
  if (config_.preference) {
    EISBACH_RETURN_IF_ERROR(CheckPairs(input, measures));
  }
  return CheckIds(input);
}

absl::Status Engine::CheckIds(const StepInput& input) const {
  const int64_t vocab = config_.model.vocab;
  Device& device = context_.device();
  const bool known = input.ids_below != 0;
  if (known ? input.ids_below <= vocab : device.type() != DeviceType::kCpu) {
    return absl::OkStatus();
  }
  const absl::Status ids = CheckInputIds(input.tokens, input.targets, vocab,
                                         device.compute_stream());
  const comm::Communicator& world = context_.world().communicator();
  return world.size() == 1 ? ids
                           : Annotate(ids, absl::StrCat("rank ", world.rank()));
}

}  // namespace eisbach::train
