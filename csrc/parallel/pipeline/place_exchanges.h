#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::parallel {

// Completes the orders of all stages, which hold forwards and backwards alone:
// exchanges go between them, and each chunk's reduction behind its last
// backward.
//
// The orders are run on planned times: all stages alike, a forward and each
// half of a backward the same, a transfer next to nothing. A transfer begins
// when what it carries is made. Both its stages list it there: behind what has
// ended by then, before what has not. So the sender lists it at once, and the
// receiver before the action that runs meanwhile and hides it. A send and what
// directly follows it share an exchange, so that a stage sends and receives at
// once.
//
// This never deadlocks, whatever the real times. All actions of all stages have
// one order, that of their moments; each stage's list follows it, and nothing
// waits for what comes later in it: no action of a stage waits for what that
// stage sends. So the first action that is not over can always go on.
//
// FailedPrecondition when the orders themselves wait for one another.
absl::StatusOr<std::vector<ActionList>> PlaceExchanges(
    const ScheduleShape& shape, std::vector<ActionList> orders);

}  // namespace eisbach::parallel
