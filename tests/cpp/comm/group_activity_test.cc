#include "comm/group_activity.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>

#include "comm/world.h"
#include "core/status_macros.h"
#include "support/status_testing.h"

namespace eisbach::comm::group_activity_test {
namespace {

const GroupEntry* Named(const RankTable& table, absl::string_view name) {
  for (const GroupEntry& group : table.groups) {
    if (group.id != 0 && name == group.name) return &group;
  }
  return nullptr;
}

TEST(GroupActivity, CallsOfACommunicatorAreWrittenDown) {
  const absl::Status status =
      RunLocalRanks(3, DeviceType::kCpu, 1, [&](World& world) -> absl::Status {
        Communicator& all = world.communicator();
        Stream& stream = world.device().compute_stream();
        EISBACH_ASSIGN_OR_RETURN(Tensor x,
                                 Tensor::Zeros({10}, DType::kF32, stream));
        EISBACH_RETURN_IF_ERROR(all.AllReduce(x, ReduceOp::kSum, stream));
        if (world.rank() < 2) {
          const Transfer::Kind kind = world.rank() == 0
                                          ? Transfer::Kind::kSend
                                          : Transfer::Kind::kReceive;
          EISBACH_RETURN_IF_ERROR(
              all.Exchange({{kind, 1 - world.rank(), x}}, stream));
        }
        EISBACH_RETURN_IF_ERROR(all.Barrier(stream));
        const GroupEntry* group = Named(all.activity()->table(), "world");
        if (group == nullptr) return absl::NotFoundError("no group");
        const int calls = world.rank() < 2 ? 3 : 2;
        EXPECT_EQ(group->calls, calls);
        EXPECT_EQ(group->collectives, 2);
        EXPECT_EQ(group->begun, calls);
        EXPECT_EQ(group->done, calls);
        EXPECT_EQ(group->ring[1].kind, CallKind::kAllReduce);
        EXPECT_EQ(group->ring[1].bytes, 40);
        EXPECT_GT(group->ring[1].begin_ns, 0);
        EXPECT_EQ(group->ring[calls].kind, CallKind::kBarrier);
        EXPECT_EQ(group->ring[calls].collective, 2);
        if (world.rank() == 0) {
          EXPECT_EQ(group->ring[2].kind, CallKind::kExchange);
          EXPECT_EQ(group->ring[2].collective, 0);
          EXPECT_EQ(group->peers[0].peer, 2);
          EXPECT_EQ(group->peers[0].sends, 1);
          EXPECT_EQ(group->peers[0].receives, 0);
        }
        return absl::OkStatus();
      });
  EISBACH_EXPECT_OK(status);
}

TEST(GroupActivity, AGroupHasOneNumberOnAllItsRanksAlone) {
  std::mutex mutex;
  std::map<int, std::set<uint64_t>> ids;  // by color
  const absl::Status status =
      RunLocalRanks(4, DeviceType::kCpu, 1, [&](World& world) -> absl::Status {
        for (int round = 0; round < 2; ++round) {
          const int color = world.rank() / 2;
          EISBACH_ASSIGN_OR_RETURN(
              auto half, world.communicator().Split(color, 0, "half"));
          const GroupEntry* group = Named(half->activity()->table(), "half");
          if (group == nullptr) return absl::NotFoundError("no group");
          std::lock_guard<std::mutex> lock(mutex);
          ids[10 * round + color].insert(group->id);
        }
        // Groups that are gone leave the table.
        const RankTable& table = world.communicator().activity()->table();
        EXPECT_EQ(Named(table, "half"), nullptr);
        return absl::OkStatus();
      });
  EISBACH_EXPECT_OK(status);
  std::set<uint64_t> all;
  for (const auto& [color, one] : ids) {
    EXPECT_EQ(one.size(), 1);
    all.insert(one.begin(), one.end());
  }
  EXPECT_EQ(all.size(), 4);
}

TEST(GroupActivity, AFullTableLeavesLaterGroupsOut) {
  const std::shared_ptr<Activity> activity = Activity::OfThread(0);
  std::vector<std::unique_ptr<GroupActivity>> groups;
  for (int i = 0; i < RankTable::kGroups + 1; ++i) {
    groups.push_back(std::make_unique<GroupActivity>(activity, "group", 0, 2));
    groups.back()->Collective(CallKind::kBarrier, DType::kU8, 0, 0).Done();
  }
  groups.erase(groups.begin());
  EXPECT_NE(activity->AddGroup("next", 5, 0, 2), nullptr);
}

}  // namespace
}  // namespace eisbach::comm::group_activity_test
