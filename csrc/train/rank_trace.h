#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "device/tracer.h"
#include "train/peak.h"

namespace eisbach::train {

// What one rank recorded, on the clock of rank 0.
struct RankTrace {
  int rank = 0;
  std::string host;
  int64_t clock_offset_ns = 0;  // already taken off the spans
  int64_t clock_error_ns = 0;
  Peak peak;
  std::vector<Span> spans;
};

// Ends the recording of every rank, once all have come, and gives the spans by
// rank on rank 0; nothing on the others. Clocks are brought together as in
// clock_offset.h. Collective, not on meta.
absl::StatusOr<std::vector<RankTrace>> GatherTraces(const Peak& peak,
                                                    comm::Communicator& group);

}  // namespace eisbach::train
