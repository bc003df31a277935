#pragma once

#include "absl/status/statusor.h"
#include "plan/estimate.h"
#include "plan/search.h"

namespace eisbach::plan {

// What the device of `candidate` that holds most holds, by kinds: the state of
// its rank between steps as EstimateMemory has it; the rest of what is foretold
// is `activations`. Takes the time of making the rank's Engine on meta.
// InvalidArgument as Engine::Validate. `experts` and what is dense in their
// place: see DenseOf.
absl::StatusOr<RankMemory> MemoryOf(const train::EngineConfig& config,
                                    const Candidate& candidate,
                                    const Hardware& hardware,
                                    const Experts& experts = {});

}  // namespace eisbach::plan
