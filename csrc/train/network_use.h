#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "comm/communicator.h"
#include "parallel/context.h"
#include "train/rank_location.h"

namespace eisbach::train {

// Along which training has groups of several ranks, each kind once: tensor,
// context, data (data x context where ranks divide rows), pipeline.
std::vector<parallel::AxisSet> AxesInUse(const parallel::Mesh& mesh);
// The groups along some axes, each once; ranks of the job in mesh order.
std::vector<std::vector<int>> GroupsAlong(const parallel::Mesh& mesh,
                                          parallel::AxisSet axes);

// What moves the bytes of the group that a rank has along some axes.
struct GroupNetwork {
  std::string transport;  // see Communicator::transport
  // What connects its ranks; nothing where the transport cannot tell, for the
  // reason in `unknown`.
  std::optional<comm::Interconnect> interconnect;
  std::string unknown;
};

// Of axes along which groups have several ranks, by rank of the job.
struct AxisNetwork {
  parallel::AxisSet axes;
  std::vector<GroupNetwork> by_rank;
};

// Of AxesInUse, the same on every rank. Collective, not on meta.
absl::StatusOr<std::vector<AxisNetwork>> GatherNetwork(
    const parallel::ParallelContext& context);

// A line a kind of group, as in "tensor groups of 8: nccl, NVLink switches add
// (NVLS), 1 NVLink domain", and how many groups have what where they differ.
std::string NetworkText(const parallel::Mesh& mesh,
                        absl::Span<const AxisNetwork> axes);

// Of which groups something is required; data groups are those that sum
// gradients.
enum class Required { kOfNone, kOfTensorGroups, kOfTensorAndDataGroups };

// "auto", "tensor", "required".
absl::StatusOr<Required> RequiredByName(absl::string_view name);

struct NetworkRequirements {
  Required nvls = Required::kOfNone;   // NVLink switches add and multicast
  Required mnnvl = Required::kOfNone;  // NVLink joins hosts: one domain a group
};

// InvalidArgument that names the key and the first group that lacks what is
// required of it, or that cannot tell. A group of one rank lacks nothing, and
// one on a single host has no need of NVLink between hosts.
absl::Status CheckRequirements(const parallel::Mesh& mesh,
                               absl::Span<const RankLocation> locations,
                               absl::Span<const AxisNetwork> axes,
                               const NetworkRequirements& requirements);

}  // namespace eisbach::train
