#include "plan/layout_memory.h"

#include <algorithm>

#include "core/status_macros.h"

namespace eisbach::plan {

absl::StatusOr<RankMemory> MemoryOf(const train::EngineConfig& config,
                                    const Candidate& candidate,
                                    const Hardware& hardware) {
  EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh, MeshOf(candidate.layout));
  const std::vector<StageForecast>& stages = candidate.forecast.stages;
  const auto fullest = std::max_element(
      stages.begin(), stages.end(),
      [](const auto& a, const auto& b) { return a.memory < b.memory; });
  parallel::Coordinates place;
  place[Axis::kPipeline] = static_cast<int>(fullest - stages.begin());
  EISBACH_ASSIGN_OR_RETURN(
      RankMemory memory,
      EstimateState(WithLayout(config, candidate.layout, mesh, hardware), mesh,
                    mesh.RankOf(place)));
  memory.activations = fullest->memory - memory.peak();
  return memory;
}

}  // namespace eisbach::plan
