#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "cpp/comm/contract_errors.h"

namespace eisbach::comm::sim_world_test {
namespace {

TEST(SimWorld, IsOneRankOfMany) {
  auto world = SimWorld(5, 12, DeviceType::kMeta);
  ASSERT_TRUE(world.ok()) << world.status();
  EXPECT_EQ((*world)->rank(), 5);
  EXPECT_EQ((*world)->size(), 12);
  EXPECT_EQ((*world)->backend(), "sim");
  EXPECT_TRUE((*world)->Finalize().ok());
}

TEST(SimWorld, RefusesARankOutside) {
  for (const auto& [rank, size] : {std::pair(3, 3), {-1, 3}, {0, 0}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        SimWorld(rank, size, DeviceType::kMeta).status()));
  }
}

TEST(SimWorld, ChecksAndRecordsWithoutPartners) {
  auto world = SimWorld(1, 4, DeviceType::kMeta);
  ASSERT_TRUE(world.ok());
  Communicator& all = (*world)->communicator();
  Device& device = (*world)->device();
  Stream& stream = device.compute_stream();
  auto group = all.Subgroup({3, 1}, "pair");
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_EQ((*group)->rank(), 1);
  EXPECT_EQ((*group)->size(), 2);
  EXPECT_EQ(*all.Subgroup({}, "none"), nullptr);

  contract::CountingRecorder recorder;
  device.set_recorder(&recorder);
  auto x = contract::Make<float>(device, 8);
  auto y = contract::Make<float>(device, 32);
  ASSERT_TRUE(x.ok() && y.ok());
  EXPECT_TRUE((*group)->AllReduce(*x, ReduceOp::kSum, stream).ok());
  EXPECT_TRUE(all.AllGather(*x, *y, stream).ok());
  EXPECT_TRUE(all.ReduceScatter(*y, *x, ReduceOp::kSum, stream).ok());
  EXPECT_TRUE(all.Broadcast(*x, 3, stream).ok());
  EXPECT_TRUE(all.Exchange({contract::SendTo(2, *x)}, stream).ok());
  EXPECT_TRUE(all.Barrier(stream).ok());
  EXPECT_FALSE(all.Broadcast(*x, 4, stream).ok());
  EXPECT_FALSE(all.AllGather(*y, *x, stream).ok());
  device.set_recorder(nullptr);
  EXPECT_EQ(recorder.lines,
            (std::vector<std::string>{
                "all_reduce pair 32 2", "all_gather world 128 4",
                "reduce_scatter world 128 4", "broadcast world 32 4",
                "exchange world 32 4", "barrier world 0 4"}));
}

TEST(SimWorld, CannotKnowOtherColors) {
  auto world = SimWorld(0, 2, DeviceType::kMeta);
  ASSERT_TRUE(world.ok());
  const absl::Status status =
      (*world)->communicator().Split(0, 0, "half").status();
  EXPECT_TRUE(absl::StrContains(status.message(), "use Subgroup")) << status;
}

}  // namespace
}  // namespace eisbach::comm::sim_world_test
