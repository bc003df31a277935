#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "watch/rank_view.h"

namespace eisbach::watch {

// How long ranks may be silent.
struct Patience {
  double hang_seconds = 0;
  // All ranks, when they wait for one another in calls that differ: that does
  // not pass. 0: as long as for anything else.
  double circle_seconds = 0;

  // What a rank that can run has in a phase: a step, that; the first step and
  // every other phase ten times as much and at least ten minutes; preparing
  // text, for ever.
  double Of(comm::Phase phase, int64_t step_done) const;
};

// Why a rank keeps the others waiting.
enum class Cause : uint8_t {
  kStopped,
  kFrozen,
  kGone,
  kNoAnswer,
  kMismatch,   // is in another call than the others
  kElsewhere,  // runs, and does not come to the call
  kTransport,  // all have come to the call, and it is not over
};
absl::string_view Name(Cause cause);

struct Culprit {
  int rank = 0;
  Cause cause = Cause::kElsewhere;
  // Another rank that waits for it, in `call` of `group`; -1: none does.
  int waiting_rank = -1;
  std::string group;
  CallView call;
  int waiting_ranks = 0;
  // kMismatch: what it calls instead, and of which group.
  CallView instead;
  std::string instead_group;
};

struct Findings {
  // Whether the job hangs: nobody that others wait for can go on, or has done
  // so within its patience.
  bool hangs = false;
  bool circle = false;  // it was not waited for longer than circle_seconds
  std::vector<Culprit> culprits;  // the likeliest first
};

// `ranks` holds all ranks of the job, by rank.
Findings Find(const std::vector<RankView>& ranks, const Patience& patience);

}  // namespace eisbach::watch
