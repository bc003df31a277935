#include "plan/meta_rank.h"

#include "core/status_macros.h"
#include "ops/workspace.h"

namespace eisbach::plan {
namespace {

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

absl::StatusOr<std::unique_ptr<MetaRank>> MetaRank::Make(
    const train::EngineConfig& config, const parallel::Mesh& mesh, int rank,
    DeviceType device) {
  std::unique_ptr<MetaRank> made(new MetaRank());
  EISBACH_ASSIGN_OR_RETURN(
      made->world_, comm::SimWorld(rank, mesh.world_size(), DeviceType::kMeta));
  made->device().set_stands_for(device);
  if (device == DeviceType::kCpu && mesh.world_size() > 1) {
    made->device().SetSharedSource(nullptr);
  }
  EISBACH_ASSIGN_OR_RETURN(
      made->context_, parallel::ParallelContext::Make(*made->world_, mesh));
  EISBACH_ASSIGN_OR_RETURN(made->engine_,
                           train::Engine::Make(config, *made->context_));
  return made;
}

void TakeWorkspace(Device& meta, absl::string_view op, const OpCost& cost) {
  const int64_t bytes = ops::WorkspaceBytes(op, cost, meta.stands_for());
  // Counts while it is held, which a device that has nothing cannot refuse.
  if (bytes > 0) (void)meta.Allocate(bytes);
}

int64_t MetaRank::parameters() const {
  int64_t numbers = 0;
  for (const Parameter* parameter : engine_->update().parameters()) {
    numbers += parameter->spec().shape.elements();
  }
  return numbers;
}

absl::Status MetaRank::Step() {
  EISBACH_ASSIGN_OR_RETURN(const train::StepInput input, EmptyInput(*engine_));
  return engine_->Submit(input);
}

}  // namespace eisbach::plan
