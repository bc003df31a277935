#include "train/link_check.h"

#include <gtest/gtest.h>

#include <chrono>

#include "support/slow_link.h"
#include "support/status_testing.h"

namespace eisbach::train::link_check_test {
namespace {

// What the first and the last of `ranks` ranks are told.
std::vector<std::vector<LinkReading>> Measure(int ranks,
                                              const test::SlowLink& link) {
  std::vector<std::vector<LinkReading>> told(2);
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      ranks, DeviceType::kCpu, 1, [&](comm::World& inner) -> absl::Status {
        test::SlowLinkWorld world(inner, link);
        EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh,
                                 parallel::MakeMesh(ranks, {}));
        const std::vector<std::string> hosts(ranks, "h");
        EISBACH_ASSIGN_OR_RETURN(auto readings,
                                 MeasureLinks(world, LinkRounds(mesh, hosts)));
        EXPECT_EQ(world.device().memory().bytes_in_use, 0);
        if (world.rank() == 0) told[0] = readings;
        if (world.rank() == ranks - 1) told[1] = readings;
        return absl::OkStatus();
      }));
  return told;
}

TEST(LinkCheck, MeasuresEveryLinkTheSameForAll) {
  for (const int ranks : {2, 3, 5}) {
    const auto told = Measure(ranks, {});
    ASSERT_EQ(told[0].size(), ranks == 2 ? 1 : ranks);
    ASSERT_EQ(told[1].size(), told[0].size());
    for (size_t i = 0; i < told[0].size(); ++i) {
      EXPECT_LT(told[0][i].a, told[0][i].b);
      EXPECT_GT(told[0][i].gigabytes, 0.001);
      EXPECT_GT(told[0][i].seconds, 0);
      EXPECT_LT(told[0][i].seconds, 0.1);
      EXPECT_EQ(told[1][i].gigabytes, told[0][i].gigabytes);
      EXPECT_EQ(told[1][i].seconds, told[0][i].seconds);
    }
  }
}

TEST(LinkCheck, SeesASlowLinkAndSoonGivesUp) {
  test::SlowLink link{
      .a = 1, .b = 2, .message_seconds = 0.05, .gigabytes = 0.005};
  link.slow = true;
  const auto begin = std::chrono::steady_clock::now();
  const auto told = Measure(4, link);
  const std::chrono::duration<double> took =
      std::chrono::steady_clock::now() - begin;
  EXPECT_LT(took.count(), 20);
  ASSERT_EQ(told[0].size(), 4);
  // Half of what it is: others may keep this machine from a link that is good.
  for (const LinkReading& one : told[0]) {
    const bool slow = one.a == 1 && one.b == 2;
    EXPECT_EQ(one.seconds >= 0.025, slow)
        << one.a << "-" << one.b << ": " << one.seconds;
    EXPECT_EQ(one.gigabytes <= 0.0055, slow)
        << one.a << "-" << one.b << ": " << one.gigabytes;
  }
}

}  // namespace
}  // namespace eisbach::train::link_check_test
