#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "models/transformer.h"
#include "nn/module.h"
#include "parallel/mesh.h"
#include "plan/experts.h"
#include "plan/hardware.h"
#include "train/engine.h"

namespace eisbach::plan {

inline constexpr int64_t kAllBlocks = models::TransformerOptions::kAllBlocks;

// How a job is divided among devices, and what it does to fit them.
struct Layout {
  int data = 1;
  int tensor = 1;
  int pipeline = 1;
  int context = 1;
  std::string schedule = "1f1b";
  int chunks = 1;
  int zero = 0;
  int64_t micro_batch = 1;
  nn::Recompute recompute = nn::Recompute::kNothing;
  // The first blocks of each stage, of which `recompute` speaks; all where
  // nothing is recomputed.
  int64_t recompute_layers = kAllBlocks;

  // Ranks that divide experts, of those of a stage (experts.h); 0: a dense
  // model has none.
  int expert = 0;

  int64_t devices() const {
    return int64_t{1} * data * tensor * pipeline * context;
  }
  // Ranks that see other samples, or other tokens of them.
  int64_t copies() const { return int64_t{1} * data * context; }
};

// `config` as `layout` has it.
train::EngineConfig WithLayout(const train::EngineConfig& config,
                               const Layout& layout);
// As it runs on `hardware`, where context ranks have neighbours.
train::EngineConfig WithLayout(const train::EngineConfig& config,
                               const Layout& layout, const parallel::Mesh& mesh,
                               const Hardware& hardware);
absl::StatusOr<parallel::Mesh> MeshOf(const Layout& layout);
// `experts` as `layout` divides them.
Experts WithLayout(Experts experts, const Layout& layout);

}  // namespace eisbach::plan
