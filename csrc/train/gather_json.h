#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/world.h"

namespace eisbach::train {

// What every rank of the job gives, by rank, on every rank. Collective,
// blocking; not on meta.
absl::StatusOr<std::vector<nlohmann::json>> GatherJson(
    const nlohmann::json& mine, comm::World& world);

}  // namespace eisbach::train
