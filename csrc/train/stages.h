#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/config.h"
#include "parallel/pipeline/partition.h"

namespace eisbach::train {

// The layers of each pipeline stage: as listed where `layers_per_stage` is not
// empty, else balanced by the floating-point operations of layers and head.
absl::StatusOr<std::vector<parallel::LayerRange>> DivideLayers(
    const models::ModelConfig& config, absl::Span<const int> layers_per_stage,
    int stages);

}  // namespace eisbach::train
