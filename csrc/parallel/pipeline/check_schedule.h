#pragma once

#include "absl/status/status.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::parallel {

// Says whether the lists describe one training step that can be right:
// - every stage runs each micro-batch of each chunk once forward, and once
//   backward (or backward-input and, later, backward-weight);
// - each chunk is reduced once, after its last backward;
// - what an action needs is received by an exchange before it, or was made
//   before it by another chunk of the stage; what is sent
//   was made before, and nothing else is transferred;
// - both partners list each transfer, and in the same order for each pair of
//   stages and direction, since that order is what pairs them up.
// Otherwise FailedPrecondition, with the stage and the action. Whether the
// exchanges can all complete is for Simulate to say.
absl::Status CheckSchedule(const Schedule& schedule);

}  // namespace eisbach::parallel
