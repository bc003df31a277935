#include "train/tournament.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace eisbach::train::tournament_test {
namespace {

TEST(TournamentTest, EveryPairMeetsOnceInRoundsOfDisjointPairs) {
  for (int n = 0; n <= 33; ++n) {
    std::set<std::pair<int, int>> met;
    for (int round = 0; round < TournamentRounds(n); ++round) {
      const std::vector<int> partner = TournamentPairs(n, round);
      int resting = 0;
      for (int a = 0; a < n; ++a) {
        const int b = partner[a];
        resting += b < 0;
        if (b < 0) continue;
        ASSERT_NE(a, b);
        ASSERT_EQ(partner[b], a);
        if (a < b) {
          EXPECT_TRUE(met.insert({a, b}).second);
        }
      }
      EXPECT_EQ(resting, n % 2);
    }
    EXPECT_EQ(met.size(), n * (n - 1) / 2);
    EXPECT_LE(TournamentRounds(n), n);
  }
}

}  // namespace
}  // namespace eisbach::train::tournament_test
