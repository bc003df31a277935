#include "train/network_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace eisbach::train::network_report_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Hosts of `host_size` ranks, each a domain.
std::vector<RankLocation> Hosts(int ranks, int host_size) {
  std::vector<RankLocation> locations(ranks);
  for (int rank = 0; rank < ranks; ++rank) {
    locations[rank].rank = rank;
    locations[rank].host = absl::StrCat("h", rank / host_size);
    locations[rank].device.domain = locations[rank].host;
  }
  return locations;
}

// Pairs of all ranks, 100 GB/s in a domain and 10 between.
std::vector<PairReading> AllPairs(const std::vector<RankLocation>& locations) {
  std::vector<PairReading> pairs;
  for (int a = 0; a < locations.size(); ++a) {
    for (int b = a + 1; b < locations.size(); ++b) {
      const bool near = locations[a].host == locations[b].host;
      pairs.push_back({a, b, near ? 100.0 : 10.0});
    }
  }
  return pairs;
}

std::vector<std::string> TextsOf(const NetworkReport& report,
                                 const std::vector<RankLocation>& locations) {
  std::vector<std::string> texts;
  for (const Outlier& one : report.Outliers(locations)) {
    texts.push_back(ToText(one));
  }
  return texts;
}

TEST(NetworkReportTest, ASlowRankIsNamed) {
  NetworkReport report;
  report.ranks = {
      {.check = "matmul", .unit = "GFLOP/s", .by_rank = {50, 51, 30, 49}}};
  EXPECT_THAT(TextsOf(report, Hosts(4, 2)),
              ElementsAre("rank 2 (h1): matmul 30.0 GFLOP/s, the median is "
                          "50.0"));
  report.ranks[0].by_rank = {50, 51, 41, 49};  // within 0.8
  EXPECT_THAT(TextsOf(report, Hosts(4, 2)), IsEmpty());
}

TEST(NetworkReportTest, OfTwoTheSlowerIsNamed) {
  NetworkReport report;
  report.ranks = {{.check = "copy", .unit = "GB/s", .by_rank = {9, 3}}};
  EXPECT_THAT(TextsOf(report, Hosts(2, 2)),
              ElementsAre("rank 1 (h0): copy 3.00 GB/s, the median is 9.00"));
}

TEST(NetworkReportTest, GroupsAreComparedWithGroups) {
  NetworkReport report;
  // One slow rank makes all of a collective slow: the group is named.
  report.ranks = {{.check = "all-reduce in domains",
                   .unit = "GB/s",
                   .by_rank = {400, 401, 200, 210, 405, 400},
                   .group_of = {0, 0, 1, 1, 2, 2}}};
  EXPECT_THAT(TextsOf(report, Hosts(6, 2)),
              ElementsAre(HasSubstr("the domain of rank 2 (h1): all-reduce in "
                                    "domains 210.0 GB/s")));
  // A single group has nothing to be compared with.
  report.ranks[0].group_of.assign(6, 0);
  EXPECT_THAT(TextsOf(report, Hosts(6, 2)), IsEmpty());
  // Who took no part is not slow.
  report.ranks[0].group_of.clear();
  report.ranks[0].by_rank = {400, 401, 0, 0, 405, 400};
  EXPECT_THAT(TextsOf(report, Hosts(6, 2)), IsEmpty());
}

TEST(NetworkReportTest, ARankWhosePairsAreSlowIsNamedOnce) {
  const auto locations = Hosts(8, 4);
  NetworkReport report;
  report.pairs = AllPairs(locations);
  EXPECT_THAT(TextsOf(report, locations), IsEmpty());
  for (PairReading& pair : report.pairs) {
    if (pair.a == 5 || pair.b == 5) pair.gigabytes /= 2;
  }
  EXPECT_THAT(
      TextsOf(report, locations),
      ElementsAre("rank 5 (h1): pairs in a domain 50.0 GB/s, the median is "
                  "100.0",
                  "rank 5 (h1): pairs of hosts 5.00 GB/s, the median is 10.0"));
}

TEST(NetworkReportTest, ASlowLinkIsNamedByItsEnds) {
  const auto locations = Hosts(8, 4);
  NetworkReport report;
  report.pairs = AllPairs(locations);
  for (PairReading& pair : report.pairs) {
    if (pair.a == 1 && pair.b == 6) pair.gigabytes = 4;
  }
  EXPECT_THAT(TextsOf(report, locations),
              ElementsAre("ranks 1 (h0) and 6 (h1): pairs of hosts 4.00 GB/s, "
                          "the median is 10.0"));
  EXPECT_THAT(report.Table(locations),
              HasSubstr("pairs of hosts     GB/s  4.00     10.0    10.0"));
}

}  // namespace
}  // namespace eisbach::train::network_report_test
