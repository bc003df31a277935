#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "plan/search.h"

namespace eisbach::plan {

// What the best of a search becomes on other numbers of devices.
//
// That is no search of its own: the best layouts of `found` that differ in
// tensor, context or pipeline ranks are divided anew, with as many data ranks
// as there is room for, fewer stages where one copy would be too large, and
// their state and recomputing as memory asks. Whatever it returns fits; a
// search may find better. `config`, `hardware` and `options` are the search's.
struct Neighbours {
  const train::EngineConfig& config;
  const Hardware& hardware;
  const SearchOptions& options;
  const SearchResult& found;
};

// The best on at most `devices`, more or fewer than the search's; nothing where
// none of those layouts fits. Ranking::most_hours does not count.
// InvalidArgument where what is given leaves no layout of so few (WhyNone).
absl::StatusOr<std::optional<Candidate>> BestOn(const Neighbours& search,
                                                int devices);

// On the fewest devices, to a thirtieth, on which the run is in time, or, where
// Ranking::most_hours is 0, fits.
absl::StatusOr<Candidate> FewestDevices(const Neighbours& search);

// The most devices that a site of so many watts feeds while all of them work.
// InvalidArgument where that is none, or the machine does not say what it
// draws.
absl::StatusOr<int64_t> DevicesOf(double watts, const Hardware& hardware);

// Search on as many of options.devices as a site of `watts` feeds.
// InvalidArgument also where nothing fits so few and some layout fits all; the
// message says what feeds enough.
absl::StatusOr<SearchResult> SearchFed(const train::EngineConfig& config,
                                       const Hardware& hardware,
                                       const SearchOptions& options,
                                       double watts);

}  // namespace eisbach::plan
