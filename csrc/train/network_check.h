#pragma once

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "comm/world.h"
#include "train/network_report.h"

namespace eisbach::train {

struct NetworkCheckOptions {
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
