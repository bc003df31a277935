#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "comm/world.h"
#include "train/link_rounds.h"

namespace eisbach::train {

// What a link between two ranks, a < b, has just done.
struct LinkReading {
  int a = 0, b = 0;
  parallel::AxisSet axes;  // along which they are neighbours
  int ring = 0;            // see LinkRound
  double gigabytes = 0;    // a second, one way at a time
  double seconds = 0;      // that a message of some bytes takes one way
  bool in_memory = false;  // of a host, which its programs share
};

// Measures the links of `rounds`, those of a round at once: round trips of a
// few bytes, the quickest, and of 256 KiB, the one in the middle. All rounds
// are gone through twice and the better figure counts, so that what another
// program does for a moment is not taken for a link. Tens of milliseconds; a
// link takes at most a quarter of a second longer, and no less than one round
// trip of each size. The same readings on every rank, in the order of rounds
// and ranks. Collective, between steps; the host waits for the device.
absl::StatusOr<std::vector<LinkReading>> MeasureLinks(
    comm::World& world, absl::Span<const LinkRound> rounds);

}  // namespace eisbach::train
