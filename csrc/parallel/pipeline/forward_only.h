#pragma once

#include "absl/status/statusor.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::parallel {

// The forwards of `microbatches` micro-batches through all stages and the
// transfers that they need: evaluation.
absl::StatusOr<Schedule> ForwardOnly(int stages, int microbatches);

}  // namespace eisbach::parallel
