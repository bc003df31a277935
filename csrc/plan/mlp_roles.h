#pragma once

#include <cstdint>
#include <vector>

#include "parallel/mesh.h"
#include "plan/record.h"
#include "train/engine.h"

namespace eisbach::plan {

// What a piece of a record is to an MLP (nn/mlp.h).
enum class MlpRole : uint8_t {
  kOther,
  kUp,
  kUpAgain,  // of what was kept, for a backward that recomputes some ops
  kDown,
  kDownInput,
  kUpInput,
  kDownWeight,
  kUpWeight,
  kExchange,  // among tensor ranks, around it
};

// Of each piece of `record`, which is what a rank was given of a model whose
// MLPs have products of sizes that no other product has (experts.h): told by
// the sizes, and what tensor ranks exchange around them by what stands beside
// it.
std::vector<MlpRole> RolesOf(const WorkRecord& record,
                             const train::EngineConfig& config,
                             const parallel::Mesh& mesh);

}  // namespace eisbach::plan
