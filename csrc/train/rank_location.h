#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "comm/world.h"
#include "core/threads.h"
#include "device/location.h"
#include "parallel/topology.h"

namespace eisbach::train {

// Where one rank of a job runs.
struct RankLocation {
  int rank = 0;
  std::string host;    // "node7"; "node7:1" for another host of that name
  int local_rank = 0;  // among the ranks of its host
  CoreSet cores;       // that it may run on
  int threads = 1;     // that it computes with
  DeviceLocation device;
  // Bytes that its tensors may take: nine tenths of its GPU, or of its even
  // share of the host; the rest is for programs, libraries and what caching
  // rounds up. 0: not known.
  int64_t memory = 0;

  // The name of its domain, in the whole job.
  std::string domain() const;
};

// Of all ranks, by rank, on every rank. Collective, not on meta.
absl::StatusOr<std::vector<RankLocation>> GatherLocations(comm::World& world);

// What the order of ranks depends on.
std::vector<parallel::RankPlace> PlacesOf(
    absl::Span<const RankLocation> locations);

// A row for each rank (host, GPU, domain, NUMA node, cores), and a line for
// each domain that says how large it is, over which link, and how that is
// known. Long ones are shortened.
std::string RankTable(absl::Span<const RankLocation> locations);

// One line when tensor groups cross domains: how many, over which link and at
// what speed, and the sizes with which none would. Empty when none does.
std::string CrossingText(const parallel::Mesh& mesh,
                         absl::Span<const RankLocation> locations);

}  // namespace eisbach::train
