#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "parallel/mesh.h"
#include "train/engine.h"

namespace eisbach::plan {

// Bytes of a rank's device memory, by what they hold. Gaps between parameters
// count as what lies around them.
struct RankMemory {
  int64_t parameters = 0;  // numbers, not bytes, that this rank computes with
  int64_t weights = 0;     // in the compute dtype
  int64_t masters = 0;     // f32; 0 where the weights themselves are
  int64_t gradients = 0;   // f32
  int64_t optimizer = 0;   // its state
  // What a step adds to all that at the moment when it holds most: kept inputs
  // of backward, gradients of activations, the batch, and of what ranks divide
  // the buckets that are whole for a while.
  int64_t activations = 0;
  int64_t other = 0;  // results on their way, counters

  // Host memory for checkpoints that are written while training goes on; not
  // counted in the peak.
  int64_t saving = 0;

  // Most at any one time; the sum of the kinds.
  int64_t peak() const {
    return weights + masters + gradients + optimizer + activations + other;
  }
};

// The memory that `rank` of `mesh` takes to train with `config`: of tensors
// alone, without what caching rounds up and what libraries and drivers keep.
// `device`: whose kernels' workspaces count as well (ops/workspace.h); of meta
// there are none. Takes the time of the step's host code. InvalidArgument as
// Engine::Validate.
absl::StatusOr<RankMemory> EstimateMemory(
    const train::EngineConfig& config, const parallel::Mesh& mesh, int rank,
    DeviceType device = DeviceType::kMeta);

// What of it stays between steps: no activations. Takes the time of making the
// rank's Engine.
absl::StatusOr<RankMemory> EstimateState(const train::EngineConfig& config,
                                         const parallel::Mesh& mesh, int rank);

}  // namespace eisbach::plan
