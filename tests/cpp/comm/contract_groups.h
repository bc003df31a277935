#pragma once

#include <memory>
#include <vector>

#include "cpp/comm/contract_collectives.h"

namespace eisbach::comm::contract {

// Collectives within `group`, whose members are these ranks of the world.
inline absl::Status UseGroup(Communicator& group, const std::vector<int>& ranks,
                             Stream& stream) {
  EISBACH_RETURN_IF_ERROR(
      ExpectTrue(group.size() == ranks.size(), "size of the group"));
  for (int64_t elements : {int64_t{1}, int64_t{1000}, int64_t{65537}}) {
    EISBACH_RETURN_IF_ERROR(
        AllReduceOf<float>(group, ranks, elements, ReduceOp::kSum, stream));
    EISBACH_RETURN_IF_ERROR(
        AllGatherOf<BFloat16>(group, ranks, elements, stream));
    EISBACH_RETURN_IF_ERROR(ReduceScatterOf<int32_t>(group, ranks, elements,
                                                     ReduceOp::kMax, stream));
  }
  return absl::OkStatus();
}

// Members of my color, the last rank first.
inline absl::Status SplitGroups(World& world) {
  Communicator& all = world.communicator();
  for (int colors : {1, 2, 3}) {
    EISBACH_ASSIGN_OR_RETURN(
        std::unique_ptr<Communicator> group,
        all.Split(all.rank() % colors, -all.rank(), "reversed"));
    std::vector<int> ranks;
    for (int r = all.size() - 1; r >= 0; --r) {
      if (r % colors == all.rank() % colors) ranks.push_back(r);
    }
    EISBACH_RETURN_IF_ERROR(ExpectTrue(group->name() == "reversed", "name"));
    EISBACH_RETURN_IF_ERROR(
        ExpectTrue(ranks[group->rank()] == all.rank(), "order by key"));
    EISBACH_RETURN_IF_ERROR(
        UseGroup(*group, ranks, world.device().compute_stream()));
  }
  return absl::OkStatus();
}

inline absl::Status SplitLeavesOut(World& world) {
  Communicator& all = world.communicator();
  const bool in = all.rank() % 3 != 1;
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group,
                           all.Split(in ? 4 : -1, 0, "some"));
  EISBACH_RETURN_IF_ERROR(
      ExpectTrue((group != nullptr) == in, "null for a negative color"));
  if (!in) return absl::OkStatus();
  std::vector<int> ranks;
  for (int r = 0; r < all.size(); ++r) {
    if (r % 3 != 1) ranks.push_back(r);
  }
  return UseGroup(*group, ranks, world.device().compute_stream());
}

inline absl::Status Subgroups(World& world) {
  Communicator& all = world.communicator();
  std::vector<int> mine;  // pairs, the odd rank first
  const int even = all.rank() & ~1;
  if (even + 1 < all.size()) mine.push_back(even + 1);
  mine.push_back(even);
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group,
                           all.Subgroup(mine, "pair"));
  EISBACH_RETURN_IF_ERROR(
      ExpectTrue(mine[group->rank()] == all.rank(), "order of the list"));
  EISBACH_RETURN_IF_ERROR(
      UseGroup(*group, mine, world.device().compute_stream()));

  const bool last = all.rank() == all.size() - 1;
  const std::vector<int> only = {all.size() - 1};
  EISBACH_ASSIGN_OR_RETURN(
      std::unique_ptr<Communicator> alone,
      all.Subgroup(last ? absl::MakeSpan(only) : absl::Span<const int>(),
                   "last"));
  EISBACH_RETURN_IF_ERROR(
      ExpectTrue((alone != nullptr) == last, "null for an empty list"));
  return last ? UseGroup(*alone, only, world.device().compute_stream())
              : absl::OkStatus();
}

// Halves, halves of halves, and the whole group between.
inline absl::Status GroupsOfGroups(World& world) {
  Communicator& all = world.communicator();
  Stream& stream = world.device().compute_stream();
  std::vector<std::unique_ptr<Communicator>> groups;
  std::vector<int> ranks = Iota(all.size());
  Communicator* group = &all;
  for (int level = 0; level < 3; ++level) {
    const int half = (group->size() + 1) / 2;
    const int side = group->rank() / half;
    EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> next,
                             group->Split(side, group->rank(), "half"));
    std::vector<int> members;
    for (int r = side * half; r < group->size() && r < (side + 1) * half; ++r) {
      members.push_back(ranks[r]);
    }
    ranks = members;
    groups.push_back(std::move(next));
    group = groups.back().get();
    EISBACH_RETURN_IF_ERROR(UseGroup(*group, ranks, stream));
    EISBACH_RETURN_IF_ERROR(UseGroup(all, Iota(all.size()), stream));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::comm::contract
