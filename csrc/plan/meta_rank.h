#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "comm/world.h"
#include "parallel/context.h"
#include "parallel/mesh.h"
#include "train/engine.h"

namespace eisbach::plan {

// A rank of a job with its real Engine on the meta device, in a world of which
// it alone is there: nothing is allocated or computed, all is counted.
class MetaRank {
 public:
  // `device`: that it stands for, which decides how many logits are there at
  // once (autograd/functions/head_chunks.h) and what its memory is besides
  // tensors: workspaces (TakeWorkspace), and, between ranks on CPUs, a pool
  // apart for what they share. Of meta there is neither. InvalidArgument as
  // Engine::Validate.
  static absl::StatusOr<std::unique_ptr<MetaRank>> Make(
      const train::EngineConfig& config, const parallel::Mesh& mesh, int rank,
      DeviceType device);

  // Gives the device a step of the configuration.
  absl::Status Step();

  // Numbers that it computes with.
  int64_t parameters() const;

  train::Engine& engine() { return *engine_; }
  Device& device() { return world_->device(); }
  const parallel::ParallelContext& context() const { return *context_; }

 private:
  MetaRank() = default;

  std::unique_ptr<comm::World> world_;
  std::unique_ptr<parallel::ParallelContext> context_;
  std::unique_ptr<train::Engine> engine_;
};

// Has a meta device hold for a moment what the kernel of the device that it
// stands for does while it computes an op (ops/workspace.h).
void TakeWorkspace(Device& meta, absl::string_view op, const OpCost& cost);

}  // namespace eisbach::plan
