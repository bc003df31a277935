#pragma once

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "comm/world.h"
#include "train/network_report.h"

namespace eisbach::train {

// How much is multiplied and moved.
struct NetworkCheckSizes {
  int64_t matmul = 0;      // rows and columns
  int64_t copy = 0;        // bytes, as the others
  int64_t collective = 0;  // that a rank puts in
  int64_t pair = 0;        // each way
};
// What keeps a device of a type busy for some milliseconds.
NetworkCheckSizes NetworkCheckSizesFor(DeviceType type);

struct NetworkCheckOptions {
  NetworkCheckSizes sizes;
  // This rank takes so many times as long for everything, to see that a slow
  // rank is found; 1: as long as it takes.
  double slowdown;
};

// Measures, on all ranks at once and each several times, matmul, copies on the
// device, all-reduce and all-to-all over all ranks and inside each domain, and
// point-to-point transfers in rounds of disjoint pairs, at most 16 rounds
// inside domains and 16 across. Takes seconds, and up to 1 GiB of a GPU, 128
// MiB on cpu. The same report on every rank. Collective, not on meta.
absl::StatusOr<NetworkReport> CheckNetwork(
    comm::World& world, absl::Span<const RankLocation> locations,
    const NetworkCheckOptions& options);

}  // namespace eisbach::train
