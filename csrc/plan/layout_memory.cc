#include "plan/layout_memory.h"

#include <algorithm>

#include "core/status_macros.h"
#include "train/stages.h"

namespace eisbach::plan {
namespace {

// Of a stage.
absl::StatusOr<int64_t> LayersOf(const train::EngineConfig& config,
                                 const Layout& layout, int stage) {
  EISBACH_ASSIGN_OR_RETURN(
      const parallel::ScheduleShape shape,
      train::ShapeOfStep(layout.schedule, layout.pipeline, layout.chunks,
                         /*micro_batches=*/1));
  EISBACH_ASSIGN_OR_RETURN(
      const std::vector<parallel::LayerRange> parts,
      train::DivideLayers(config.model, config.layers_per_stage, shape));
  return train::BlocksOfStage(parts, shape, stage);
}

}  // namespace

absl::StatusOr<RankMemory> MemoryOf(const train::EngineConfig& config,
                                    const Candidate& candidate,
                                    const Hardware& hardware,
                                    const Experts& experts) {
  EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh, MeshOf(candidate.layout));
  const std::vector<StageForecast>& stages = candidate.forecast.stages;
  const auto fullest = std::max_element(
      stages.begin(), stages.end(),
      [](const auto& a, const auto& b) { return a.memory < b.memory; });
  parallel::Coordinates place;
  place[Axis::kPipeline] = static_cast<int>(fullest - stages.begin());
  const train::EngineConfig chosen =
      WithLayout(config, candidate.layout, mesh, hardware);
  EISBACH_ASSIGN_OR_RETURN(RankMemory memory,
                           EstimateState(chosen, mesh, mesh.RankOf(place)));
  EISBACH_ASSIGN_OR_RETURN(
      const int64_t layers,
      LayersOf(chosen, candidate.layout, place[Axis::kPipeline]));
  EISBACH_ASSIGN_OR_RETURN(
      memory, WithExperts(memory, chosen, mesh,
                          WithLayout(experts, candidate.layout), layers));
  memory.activations = fullest->memory - memory.peak();
  return memory;
}

}  // namespace eisbach::plan
