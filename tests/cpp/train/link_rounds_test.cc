#include "train/link_rounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "support/status_testing.h"

namespace eisbach::train::link_rounds_test {
namespace {

using parallel::MakeMesh;
using parallel::Mesh;
using ::testing::UnorderedElementsAre;
using Pair = std::pair<int, int>;

std::vector<std::string> Hosts(int ranks, int ranks_a_host) {
  std::vector<std::string> hosts;
  for (int rank = 0; rank < ranks; ++rank) {
    hosts.push_back(absl::StrCat("h", rank / ranks_a_host));
  }
  return hosts;
}

std::set<Pair> PairsOf(const std::vector<LinkRound>& rounds) {
  std::set<Pair> pairs;
  for (const LinkRound& round : rounds) {
    for (int a = 0; a < static_cast<int>(round.partner.size()); ++a) {
      const int b = round.partner[a];
      if (b < 0) continue;
      EXPECT_EQ(round.partner[b], a);
      EXPECT_NE(a, b);
      if (a > b) continue;
      EXPECT_TRUE(pairs.insert({a, b}).second) << a << "-" << b;
    }
  }
  return pairs;
}

TEST(LinkRounds, OfTwoRanksAreOne) {
  const Mesh mesh = test::Value(MakeMesh(2, {}));
  const auto rounds = LinkRounds(mesh, Hosts(2, 1));
  ASSERT_EQ(rounds.size(), 1);
  EXPECT_EQ(rounds[0].axes.ToString(), "data");
  EXPECT_THAT(PairsOf(rounds), UnorderedElementsAre(Pair(0, 1)));
}

TEST(LinkRounds, OfOneHostAreTheRing) {
  const Mesh mesh = test::Value(MakeMesh(5, {}));
  const auto rounds = LinkRounds(mesh, Hosts(5, 5));
  EXPECT_EQ(rounds.size(), 3);
  EXPECT_THAT(PairsOf(rounds),
              UnorderedElementsAre(Pair(0, 1), Pair(1, 2), Pair(2, 3),
                                   Pair(3, 4), Pair(0, 4)));
}

TEST(LinkRounds, OfHostsHaveEveryRanksPeer) {
  const Mesh mesh = test::Value(MakeMesh(4, {}));
  const auto rounds = LinkRounds(mesh, Hosts(4, 2));
  EXPECT_THAT(PairsOf(rounds),
              UnorderedElementsAre(Pair(0, 1), Pair(1, 2), Pair(2, 3),
                                   Pair(0, 3), Pair(0, 2), Pair(1, 3)));
  std::set<int> rings;
  for (const LinkRound& round : rounds) rings.insert(round.ring);
  EXPECT_EQ(rings.size(), 2);
}

TEST(LinkRounds, FollowTheAxes) {
  const Mesh mesh = test::Value(MakeMesh(8, {.tensor = 2, .pipeline = 2}));
  const auto rounds = LinkRounds(mesh, Hosts(8, 8));
  EXPECT_THAT(
      PairsOf(rounds),
      UnorderedElementsAre(Pair(0, 1), Pair(2, 3), Pair(4, 5), Pair(6, 7),
                           Pair(0, 2), Pair(1, 3), Pair(4, 6), Pair(5, 7),
                           Pair(0, 4), Pair(1, 5), Pair(2, 6), Pair(3, 7)));
  EXPECT_EQ(rounds.size(), 3);
  EXPECT_EQ(rounds[0].axes.ToString(), "tensor");
}

// As few rounds for ten thousand ranks.
TEST(LinkRounds, AreFewForManyRanks) {
  const Mesh mesh =
      test::Value(MakeMesh(9 * 8 * 151, {.tensor = 8, .pipeline = 9}));
  const auto rounds = LinkRounds(mesh, Hosts(mesh.world_size(), 8));
  EXPECT_LE(rounds.size(), 2 + 3 + 3);
  EXPECT_EQ(PairsOf(rounds).size(), 3 * mesh.world_size());
}

}  // namespace
}  // namespace eisbach::train::link_rounds_test
