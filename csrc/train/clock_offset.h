#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "comm/communicator.h"

namespace eisbach::train {

// How far a rank's clock is ahead of rank 0's.
struct ClockOffset {
  int64_t ns = 0;
  int64_t error_ns = 0;  // the truth is at most so far from it
};

// Ranks of the host of rank 0 read the very same clock: no offset. Another rank
// is asked for its time by rank 0, again and again: at the middle of the
// quickest of these round trips its clock showed what it answered, give or
// take half the trip. Collective, not on meta.
absl::StatusOr<ClockOffset> MeasureClockOffset(comm::Communicator& group);

// The round trips alone, between rank 0 and one other, each of which gives the
// other as `peer`; both get the other's offset to rank 0. `clock` tells ns.
absl::StatusOr<ClockOffset> OffsetByRoundTrips(
    comm::Communicator& group, int peer, const std::function<int64_t()>& clock);

}  // namespace eisbach::train
