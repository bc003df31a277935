#include "train/clock_offset.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "checkpoint/agree.h"
#include "core/status_macros.h"
#include "device/tracer.h"
#include "train/number_line.h"

namespace eisbach::train {
namespace {

constexpr int kRoundTrips = 32;

// The same in all processes under one kernel, and nowhere else.
std::string ClockIdentity() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

absl::StatusOr<ClockOffset> Ask(NumberLine& line,
                                const std::function<int64_t()>& clock) {
  ClockOffset best{.ns = 0, .error_ns = std::numeric_limits<int64_t>::max()};
  for (int i = 0; i < kRoundTrips; ++i) {
    const int64_t begin = clock();
    EISBACH_RETURN_IF_ERROR(line.Send(begin));
    EISBACH_ASSIGN_OR_RETURN(const int64_t answer, line.Receive());
    const int64_t half = (clock() - begin + 1) / 2;
    if (half < best.error_ns) best = {answer - begin - half, half};
  }
  EISBACH_RETURN_IF_ERROR(line.Send(best.ns));
  EISBACH_RETURN_IF_ERROR(line.Send(best.error_ns));
  return best;
}

absl::StatusOr<ClockOffset> Answer(NumberLine& line,
                                   const std::function<int64_t()>& clock) {
  for (int i = 0; i < kRoundTrips; ++i) {
    EISBACH_RETURN_IF_ERROR(line.Receive().status());
    EISBACH_RETURN_IF_ERROR(line.Send(clock()));
  }
  ClockOffset told;
  EISBACH_ASSIGN_OR_RETURN(told.ns, line.Receive());
  EISBACH_ASSIGN_OR_RETURN(told.error_ns, line.Receive());
  return told;
}

}  // namespace

absl::StatusOr<ClockOffset> OffsetByRoundTrips(
    comm::Communicator& group, int peer,
    const std::function<int64_t()>& clock) {
  EISBACH_ASSIGN_OR_RETURN(NumberLine line, NumberLine::Make(group, peer));
  return group.rank() == 0 ? Ask(line, clock) : Answer(line, clock);
}

absl::StatusOr<ClockOffset> MeasureClockOffset(comm::Communicator& group) {
  EISBACH_ASSIGN_OR_RETURN(
      const std::vector<std::string> identities,
      checkpoint::GatherText(ClockIdentity(), group,
                             group.device().compute_stream()));
  ClockOffset mine;
  for (int peer = 1; peer < group.size(); ++peer) {
    if (identities[peer] == identities[0] && !identities[0].empty()) continue;
    if (group.rank() != 0 && group.rank() != peer) continue;
    EISBACH_ASSIGN_OR_RETURN(
        const ClockOffset offset,
        OffsetByRoundTrips(group, group.rank() == 0 ? peer : 0, &Tracer::Now));
    if (group.rank() == peer) mine = offset;
  }
  return mine;
}

}  // namespace eisbach::train
