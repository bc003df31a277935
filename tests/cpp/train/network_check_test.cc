#include "train/network_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "support/device_testing.h"
#include "support/status_testing.h"

namespace eisbach::train::network_check_test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

// Long enough for a slow rank to show between programs that want the cores.
constexpr NetworkCheckSizes kSizes = {
    .matmul = 256, .copy = 4 << 20, .collective = 1 << 20, .pair = 1 << 20};

// What rank 0 and the last one are told; `slow` takes ten times as long.
struct Told {
  NetworkReport first, last;
  std::vector<RankLocation> locations;
};

Told Check(int ranks, int slow, int domain_size) {
  Told told;
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      ranks, test::TestedType(), 1, [&](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(std::vector<RankLocation> locations,
                                 GatherLocations(world));
        for (RankLocation& at : locations) {
          at.device.domain = absl::StrCat("domain", at.rank / domain_size);
        }
        const double slowdown = world.rank() == slow ? 10 : 1;
        EISBACH_ASSIGN_OR_RETURN(
            NetworkReport report,
            CheckNetwork(world, locations,
                         {.sizes = kSizes, .slowdown = slowdown}));
        EXPECT_EQ(world.device().memory().bytes_in_use, 0);
        if (world.rank() == 0) {
          told.first = report;
          told.locations = locations;
        }
        if (world.rank() == ranks - 1) told.last = report;
        return absl::OkStatus();
      }));
  return told;
}

std::vector<std::string> NamesOf(const NetworkReport& report) {
  std::vector<std::string> names;
  for (const RankReadings& one : report.ranks) names.push_back(one.check);
  return names;
}

std::vector<std::string> Lines(const Told& told) {
  std::vector<std::string> lines;
  for (const Outlier& one : told.first.Outliers(told.locations)) {
    lines.push_back(ToText(one));
  }
  return lines;
}

TEST(NetworkCheckTest, MeasuresEveryRankAndEveryPair) {
  const Told told = Check(5, -1, 2);
  EXPECT_THAT(NamesOf(told.first),
              ::testing::ElementsAre(
                  "matmul", "copy", "all-reduce of all", "all-to-all of all",
                  "all-reduce in domains", "all-to-all in domains"));
  for (const RankReadings& one : told.first.ranks) {
    ASSERT_EQ(one.by_rank.size(), 5);
    for (int rank = 0; rank < 5; ++rank) {
      const bool alone = rank == 4 && !one.group_of.empty() &&
                         one.group_of != std::vector<int>(5, 0);
      EXPECT_TRUE(std::isfinite(one.by_rank[rank]));
      EXPECT_EQ(one.by_rank[rank] > 0, !alone) << one.check << rank;
    }
  }
  EXPECT_EQ(told.first.pairs.size(), 10);
  EXPECT_EQ(told.first.rounds, 1 + 5);
  for (const PairReading& pair : told.first.pairs) {
    EXPECT_GT(pair.gigabytes, 0);
    EXPECT_LT(pair.a, pair.b);
  }
  // Everybody is told the same.
  ASSERT_EQ(told.last.pairs.size(), 10);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(told.last.pairs[i].gigabytes, told.first.pairs[i].gigabytes);
  }
  EXPECT_EQ(told.last.ranks[1].by_rank, told.first.ranks[1].by_rank);
}

TEST(NetworkCheckTest, OneDomainIsMeasuredOnce) {
  const Told told = Check(4, -1, 4);
  EXPECT_EQ(told.first.ranks.size(), 4);
  EXPECT_EQ(told.first.pairs.size(), 6);
  EXPECT_EQ(told.first.rounds, 3);
}

TEST(NetworkCheckTest, ARankAloneHasADeviceOnly) {
  const Told told = Check(1, -1, 1);
  EXPECT_EQ(told.first.ranks.size(), 2);
  EXPECT_EQ(told.first.pairs.size(), 0);
}

TEST(NetworkCheckTest, ASlowRankIsFound) {
  for (const int ranks : {2, 4}) {
    const Told told = Check(ranks, 1, ranks);
    EXPECT_THAT(Lines(told),
                Contains(AllOf(HasSubstr("rank 1 ("), HasSubstr("matmul"))));
    EXPECT_THAT(Lines(told),
                Contains(AllOf(HasSubstr("rank 1 ("), HasSubstr("copy"))));
    if (ranks < 3) continue;  // a single pair tells nothing
    EXPECT_THAT(Lines(told),
                Contains(AllOf(HasSubstr("rank 1 ("), HasSubstr("pairs in"))));
  }
}

TEST(NetworkCheckTest, MetaIsRefused) {
  const auto world = test::Value(comm::SimWorld(0, 2, DeviceType::kMeta));
  EXPECT_THAT(CheckNetwork(*world, {}, {.sizes = kSizes, .slowdown = 1}),
              test::StatusIs(absl::StatusCode::kInvalidArgument, "no speed"));
}

}  // namespace
}  // namespace eisbach::train::network_check_test
