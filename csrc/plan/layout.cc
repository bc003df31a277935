#include "plan/layout.h"

#include <algorithm>

#include "plan/collective_seconds.h"

namespace eisbach::plan {

train::EngineConfig WithLayout(const train::EngineConfig& config,
                               const Layout& layout) {
  train::EngineConfig changed = config;
  changed.pipeline_schedule = layout.schedule;
  changed.chunks = layout.chunks;
  changed.update.zero.zero = layout.zero;
  changed.micro_batch = layout.micro_batch;
  changed.recompute = layout.recompute;
  changed.recompute_layers = layout.recompute_layers;
  return changed;
}

train::EngineConfig WithLayout(const train::EngineConfig& config,
                               const Layout& layout, const parallel::Mesh& mesh,
                               const Hardware& hardware) {
  train::EngineConfig changed = WithLayout(config, layout);
  changed.context_neighbours =
      PlaceOf("context", layout.context, mesh, hardware).inside;
  return changed;
}

Experts WithLayout(Experts experts, const Layout& layout) {
  experts.ranks = std::max(layout.expert, 1);
  return experts;
}

absl::StatusOr<parallel::Mesh> MeshOf(const Layout& layout) {
  return parallel::MakeMesh(static_cast<int>(layout.devices()),
                            {.data = layout.data,
                             .tensor = layout.tensor,
                             .pipeline = layout.pipeline,
                             .context = layout.context});
}

}  // namespace eisbach::plan
