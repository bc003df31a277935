#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "cpp/comm/contract.h"
#include "support/mpi_world.h"

namespace eisbach::comm::shm_communicator_test {
namespace {

using contract::Place;

class ShmContract
    : public testing::TestWithParam<std::tuple<Place, ContractCheck>> {};

TEST_P(ShmContract, Holds) {
  contract::place = std::get<0>(GetParam());
  contract::mixed_tensors = 1000 * TestWorld().rank();
  const absl::Status status = std::get<1>(GetParam()).body(TestWorld());
  contract::place = Place::kPlain;
  EXPECT_TRUE(status.ok()) << status;
}

std::string NameOf(const testing::TestParamInfo<ShmContract::ParamType>& info) {
  const char* const places[] = {"Plain", "Shared", "Mixed"};
  return std::get<1>(info.param).name +
         places[static_cast<int>(std::get<0>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(AllRanks, ShmContract,
                         testing::Combine(testing::Values(Place::kPlain,
                                                          Place::kShared,
                                                          Place::kMixed),
                                          testing::ValuesIn(ContractChecks())),
                         NameOf);

TEST(ShmWorld, SharesMemory) {
  EXPECT_EQ(TestWorld().backend(), "mpi");
  EXPECT_EQ(TestWorld().communicator().transport(),
            TestWorld().size() == 1 ? "mpi" : "shm");
}

// Groups that come and go do not use ever more memory.
TEST(ShmCommunicator, BlocksAreUsedAgain) {
  World& world = TestWorld();
  if (world.size() == 1) return;
  Stream& stream = world.device().compute_stream();
  auto x = Tensor::Zeros({300000}, DType::kF32, stream);
  ASSERT_TRUE(x.ok());
  rusage before, after;
  for (int round = 0; round < 100; ++round) {
    if (round == 20) getrusage(RUSAGE_SELF, &before);
    auto group = world.communicator().Split(0, -world.rank(), "brief");
    ASSERT_TRUE(group.ok()) << group.status();
    ASSERT_TRUE((*group)->AllReduce(*x, ReduceOp::kSum, stream).ok());
  }
  getrusage(RUSAGE_SELF, &after);
  // Every block that is not used again is more than a MiB.
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 50 << 10) << "KiB";
}

// A rank that waits for another sleeps.
TEST(ShmCommunicator, WaitingTakesNoCpuTime) {
  World& world = TestWorld();
  if (world.size() == 1) return;
  Stream& stream = world.device().compute_stream();
  ASSERT_TRUE(world.communicator().Barrier(stream).ok());
  rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  if (world.rank() == 1) absl::SleepFor(absl::Milliseconds(500));
  ASSERT_TRUE(world.communicator().Barrier(stream).ok());
  getrusage(RUSAGE_SELF, &after);
  const auto microseconds = [](const rusage& usage) {
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
  };
  EXPECT_LT(microseconds(after) - microseconds(before), 50000);
}

// The segments have no name that could stay behind.
TEST(ShmWorld, SegmentsHaveNoName) {
  if (TestWorld().size() == 1) return;
  int segments = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (!absl::StrContains(line, "eisbach (deleted)")) continue;
    EXPECT_TRUE(absl::StrContains(line, "/memfd:")) << line;
    ++segments;
  }
  EXPECT_GE(segments, TestWorld().size());
}

}  // namespace
}  // namespace eisbach::comm::shm_communicator_test
