#pragma once

#include "absl/status/statusor.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::parallel {

// The forwards of `microbatches` micro-batches, at least 1, through all chunks
// of `shape`, which may be planned for another number of them, and the
// transfers that they need: evaluation.
absl::StatusOr<Schedule> ForwardOnly(ScheduleShape shape, int microbatches);

}  // namespace eisbach::parallel
