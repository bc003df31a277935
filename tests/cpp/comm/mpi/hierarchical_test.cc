// Groups that span hosts. The hosts are made up: each test is started with
// EISBACH_RANKS_PER_HOST.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "cpp/comm/contract.h"
#include "support/mpi_world.h"
#include "support/status_testing.h"

namespace eisbach::comm::hierarchical_test {
namespace {

using contract::Place;

int RanksPerHost() { return std::atoi(std::getenv("EISBACH_RANKS_PER_HOST")); }

class HierarchicalContract
    : public testing::TestWithParam<std::tuple<Place, ContractCheck>> {};

TEST_P(HierarchicalContract, Holds) {
  contract::place = std::get<0>(GetParam());
  contract::mixed_tensors = 1000 * TestWorld().rank();
  const absl::Status status = std::get<1>(GetParam()).body(TestWorld());
  contract::place = Place::kPlain;
  EXPECT_TRUE(status.ok()) << status;
}

std::string NameOf(
    const testing::TestParamInfo<HierarchicalContract::ParamType>& info) {
  const char* const places[] = {"Plain", "Shared", "Mixed"};
  return std::get<1>(info.param).name +
         places[static_cast<int>(std::get<0>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(AllRanks, HierarchicalContract,
                         testing::Combine(testing::Values(Place::kPlain,
                                                          Place::kShared,
                                                          Place::kMixed),
                                          testing::ValuesIn(ContractChecks())),
                         NameOf);

TEST(HierarchicalWorld, KnowsItsHosts) {
  const World& world = TestWorld();
  const int per_host = RanksPerHost();
  const int host = world.rank() / per_host;
  EXPECT_EQ(world.local_rank(), world.rank() % per_host);
  EXPECT_EQ(world.local_size(),
            std::min(per_host, world.size() - host * per_host));
}

// As many ranks on each host: shared memory inside them. Otherwise, MPI alone.
TEST(HierarchicalWorld, SaysWhatMovesTheBytes) {
  World& world = TestWorld();
  const int per_host = RanksPerHost();
  EXPECT_EQ(world.communicator().transport(),
            world.size() % per_host == 0 ? "shm+mpi" : "mpi");

  const int host = world.rank() / per_host;
  auto inside = world.communicator().Split(host, 0, "inside");
  EISBACH_ASSERT_OK(inside.status());
  EXPECT_EQ((*inside)->transport(), world.local_size() > 1 ? "shm" : "mpi");

  auto across = world.communicator().Split(world.local_rank(), 0, "across");
  EISBACH_ASSERT_OK(across.status());
  EXPECT_EQ((*across)->transport(), (*across)->size() > 1 ? "mpi" : "shm");
}

// Hosts that alternate in the order of the group.
TEST(HierarchicalWorld, RanksThatDoNotComeByHostsTalkThroughMpi) {
  World& world = TestWorld();
  auto group = world.communicator().Split(
      0, world.local_rank() * world.size() + world.rank(), "alternating");
  EISBACH_ASSERT_OK(group.status());
  EXPECT_EQ((*group)->transport(), "mpi");
  std::vector<int> ranks;
  for (int place = 0; place < RanksPerHost(); ++place) {
    for (int r = place; r < world.size(); r += RanksPerHost()) {
      ranks.push_back(r);
    }
  }
  EISBACH_EXPECT_OK(
      contract::UseGroup(**group, ranks, world.device().compute_stream()));
}

// Rounds that end evenly and do not, one and many.
TEST(HierarchicalWorld, ReducesInRankOrder) {
  World& world = TestWorld();
  for (int64_t elements : {8191, 16385, 262144, 262145, 1000000, 2100001}) {
    const auto check = [&](auto t) {
      return contract::AllReduceOf<decltype(t)>(
          world.communicator(), contract::Iota(world.size()), elements,
          ReduceOp::kSum, world.device().compute_stream());
    };
    EISBACH_EXPECT_OK(check(float{})) << elements;
    if (elements > 1000000) continue;  // as much again says no more
    EISBACH_EXPECT_OK(check(BFloat16{})) << elements;
    EISBACH_EXPECT_OK(check(Float16{})) << elements;
  }
}

}  // namespace
}  // namespace eisbach::comm::hierarchical_test
