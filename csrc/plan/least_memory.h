#pragma once

#include "absl/status/statusor.h"
#include "plan/search.h"

namespace eisbach::plan {

// Of all layouts of options.devices, whether they fit or not, one that takes
// the least memory, to a hundredth: the least that all others take is known
// (LayoutBounds). With `enough` it ends as soon as one takes no more than so
// many bytes, or none does, and returns that or one that may not take the
// least. What is best, and `options.ranking`, do not count. InvalidArgument
// where no layout is valid, as Search.
absl::StatusOr<Candidate> LeastMemory(const train::EngineConfig& config,
                                      const Hardware& hardware,
                                      const SearchOptions& options,
                                      double enough = 0);

}  // namespace eisbach::plan
