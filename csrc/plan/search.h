#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "plan/enumerate_layouts.h"
#include "plan/forecast.h"
#include "plan/hardware.h"
#include "plan/layout.h"
#include "plan/ranking.h"
#include "train/engine.h"

namespace eisbach::plan {

struct Candidate {
  Layout layout;
  Forecast forecast;
  double score = 0;  // what it is ranked by
};

struct SearchOptions {
  int devices = 1;  // at the most
  Fixed fixed{};
  PlayOptions play{};
  // Of a device's memory, what tensors may take: libraries, the driver, what
  // collectives buffer and what caching rounds up need the rest.
  double memory_share = 0.9;
  Ranking ranking{};
  // So many of the best are looked for, and none whose score is so much above
  // the best: what is worse for certain needs no look. Infinity: all that fit.
  size_t wanted = 16;
  double far_behind = 1.08;
  // Is told now and then, by the thread that searches, how many layouts were
  // tried, and which is the best so far; null: none yet. What it returns
  // ends the search where it is no Ok.
  std::function<absl::Status(int64_t tried, const Candidate* best)> progress{};
};

// What a search with `options` divides. They outlive it.
Ways WaysOf(const train::EngineConfig& config, const Hardware& hardware,
            const SearchOptions& options);

struct SearchResult {
  std::vector<Candidate> fitting;  // best first; empty: all are too large
  int64_t tried = 0;
  int64_t too_large = 0;  // for the memory
  int64_t too_late = 0;   // for Ranking::most_hours
  // Not tried: the least that they could take is far above what others do, they
  // are like ones that were, or they are another's with more data ranks, where
  // fewer devices are better.
  int64_t hopeless = 0;
};

// Layouts on which `config` trains the batch that it says, each on as many of
// the devices as its data ranks divide the batch for, and with as few blocks
// recomputed and as little dividing of state as its memory allows; of zero 0
// and 1 the better one: ranks that update a part each have less to do, and wait
// for one another once more, for the norm of gradients. Where fewer devices may
// be better (ranking.h), on fewer as well. Takes some hundredths of a second
// for each that is tried, on every core of this machine. InvalidArgument where
// no layout is valid whatever the memory (WhyNone, or what Engine::Validate
// says of one); and where some fit and none is in time, with the quickest. With
// options.play.experts, of which layouts choose the ranks, `config` is DenseOf
// them.
absl::StatusOr<SearchResult> Search(const train::EngineConfig& config,
                                    const Hardware& hardware,
                                    const SearchOptions& options);

}  // namespace eisbach::plan
