#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "parallel/mesh.h"
#include "train/engine.h"

namespace eisbach::plan {

// What a rank has.
struct MemoryLimit {
  int64_t bytes;
  // Whether the copies that checkpoints are written from behind training lie
  // there as well (RankMemory::saving).
  bool copies = false;
  // Whose kernels' workspaces count (EstimateMemory).
  DeviceType device = DeviceType::kMeta;
};

// The fewest blocks of each stage, its first ones, that `config.recompute` must
// hold for so that no rank takes more than `limit`; whatever
// config.recompute_layers says. The memory of every rank that may differ from
// the others is estimated (estimate.h) for numbers that bisection asks for.
//
// InvalidArgument where none is enough: the message says what is missing and
// the nearest that works. InvalidArgument as Engine::Validate, and where
// nothing is recomputed.
absl::StatusOr<int64_t> FewestRecomputed(const train::EngineConfig& config,
                                         const parallel::Mesh& mesh,
                                         const MemoryLimit& limit);

}  // namespace eisbach::plan
