#pragma once

#include "absl/status/statusor.h"
#include "checkpoint/saver.h"

namespace eisbach::checkpoint {

// Saves a training run at the end of a step and returns when it is on the disk;
// see Saver. Holds no copy of the state.
//
// Collective over the world; blocks; all ranks get the same status.
absl::StatusOr<SaveOutcome> Save(const SaveRequest& request,
                                 const FlatBuffer& buffer,
                                 const optim::Optimizer& optimizer,
                                 const parallel::ParallelContext& context);

}  // namespace eisbach::checkpoint
