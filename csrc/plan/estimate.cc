#include "plan/estimate.h"

#include <memory>

#include "checkpoint/saver.h"
#include "comm/world.h"
#include "core/status_macros.h"
#include "parallel/context.h"

namespace eisbach::plan {
namespace {

// All of them, or this rank's part.
int64_t WeightBytes(const FlatWeights& block) {
  const Tensor& stays = block.data.defined() ? block.data : block.weights;
  return static_cast<int64_t>(stays.bytes());
}

// What stays between steps.
RankMemory CountState(train::Engine& engine) {
  RankMemory memory;
  train::Update& update = engine.update();
  const bool masters = update.buffer().compute_dtype() != DType::kF32;
  for (const FlatBucket& bucket : update.buffer().buckets()) {
    memory.weights += WeightBytes(bucket);
    if (masters) memory.masters += static_cast<int64_t>(bucket.master.bytes());
    const Tensor& gradients =
        bucket.grad.defined() ? bucket.grad : bucket.reduced;
    memory.gradients += static_cast<int64_t>(gradients.bytes());
  }
  for (const FrozenBlock& block : update.buffer().frozen()) {
    memory.weights += WeightBytes(block);
  }
  for (const optim::OptimizerState& state : update.optimizer().StateTensors()) {
    memory.optimizer += static_cast<int64_t>(state.tensor.bytes());
  }
  for (const Parameter* parameter : update.parameters()) {
    memory.parameters += parameter->spec().shape.elements();
  }
  return memory;
}

absl::StatusOr<train::StepInput> EmptyInput(const train::Engine& engine) {
  Device& device = engine.context().device();
  const Shape tokens{engine.samples(), engine.config().model.context};
  train::StepInput input;
  EISBACH_ASSIGN_OR_RETURN(input.tokens,
                           Tensor::Empty(tokens, DType::kI32, device));
  EISBACH_ASSIGN_OR_RETURN(input.targets,
                           Tensor::Empty(tokens, DType::kI32, device));
  EISBACH_ASSIGN_OR_RETURN(
      input.sample_index,
      Tensor::Empty(Shape{engine.samples()}, DType::kI64, device));
  const auto& preference = engine.config().preference;
  if (!preference) return input;
  EISBACH_ASSIGN_OR_RETURN(input.starts,
                           Tensor::Empty(tokens, DType::kI32, device));
  if (!preference->stored_reference) return input;
  EISBACH_ASSIGN_OR_RETURN(
      input.reference, Tensor::Empty(Shape{engine.samples(), ops::kPairSums},
                                     DType::kF64, device));
  return input;
}

}  // namespace

absl::StatusOr<RankMemory> EstimateMemory(const train::EngineConfig& config,
                                          const parallel::Mesh& mesh,
                                          int rank) {
  EISBACH_ASSIGN_OR_RETURN(
      const std::unique_ptr<comm::World> world,
      comm::SimWorld(rank, mesh.world_size(), DeviceType::kMeta));
  EISBACH_ASSIGN_OR_RETURN(
      const std::unique_ptr<parallel::ParallelContext> context,
      parallel::ParallelContext::Make(*world, mesh));
  EISBACH_ASSIGN_OR_RETURN(const std::unique_ptr<train::Engine> engine,
                           train::Engine::Make(config, *context));
  RankMemory memory = CountState(*engine);
  EISBACH_ASSIGN_OR_RETURN(
      memory.saving,
      checkpoint::Saver::StagingBytes(engine->update().buffer(),
                                      engine->update().optimizer(), *context,
                                      {.asynchronous = true}));
  memory.other = world->device().memory().bytes_in_use - memory.peak();
  world->device().ResetPeakMemory();
  EISBACH_ASSIGN_OR_RETURN(const train::StepInput input, EmptyInput(*engine));
  EISBACH_RETURN_IF_ERROR(engine->Submit(input));
  // From the second step on weights are brought ahead.
  if (config.update.zero.zero == 3) {
    EISBACH_RETURN_IF_ERROR(engine->Submit(input));
  }
  memory.activations =
      world->device().memory().peak_bytes_in_use - memory.peak();
  return memory;
}

}  // namespace eisbach::plan
