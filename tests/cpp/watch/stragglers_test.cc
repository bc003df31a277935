#include "watch/stragglers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <vector>

namespace eisbach::watch::stragglers_test {
namespace {

constexpr int kSteps = 20;
constexpr int kDefaultSteps = 50;  // of fault.straggler_steps

// Seconds of a step: forward 0.1, backward 0.2, the rest small; `weight` makes
// a stage heavier. Whoever is quicker than the slowest waits.
RankStep Clean(double weight = 1) {
  RankStep step;
  step.busy = {0.002, 0.001, 0.1 * weight, 0.2 * weight, 0.001, 0.02};
  return step;
}

double& Part(RankStep& step, StepPart part) {
  return step.busy[static_cast<int>(part)];
}

double& Waiting(RankStep& step, StepPart part) {
  return step.waiting[static_cast<int>(part)];
}

void WaitForTheSlowest(std::vector<RankStep>& ranks) {
  const auto total = [](const RankStep& rank) {
    double sum = 0;
    for (double seconds : rank.busy) sum += seconds;
    return sum;
  };
  double most = 0;
  for (const RankStep& rank : ranks) most = std::max(most, total(rank));
  for (RankStep& rank : ranks) {
    rank.waiting = {};
    Waiting(rank, StepPart::kReduction) = most - total(rank);
  }
}

// Steps of ranks that are each told by `make`; returns all news.
std::vector<Straggler> RunSteps(
    StragglerFinder& finder, int ranks, int first, int last,
    const std::function<RankStep(int rank, int step)>& make) {
  std::vector<Straggler> news;
  for (int step = first; step <= last; ++step) {
    std::vector<RankStep> now;
    for (int rank = 0; rank < ranks; ++rank) now.push_back(make(rank, step));
    WaitForTheSlowest(now);
    for (const Straggler& one : finder.Add(step, now)) news.push_back(one);
  }
  return news;
}

struct Case {
  const char* name;
  std::vector<int> work;  // the stage of each rank
  int slow_rank;
  StepPart part;
  double seconds;  // that it takes longer
  bool by_peers;
};

class Stragglers : public testing::TestWithParam<Case> {};

// Slow from step 101 to 200: named once, with the part, and once as over.
TEST_P(Stragglers, IsNamedAndForgiven) {
  const Case& c = GetParam();
  const int ranks = static_cast<int>(c.work.size());
  StragglerFinder finder(c.work, kSteps);
  const auto make = [&](int rank, int step) {
    RankStep one = Clean(1 + 0.5 * c.work[rank]);
    if (rank == c.slow_rank && step > 100 && step <= 200) {
      Part(one, c.part) += c.seconds;
    }
    return one;
  };
  EXPECT_TRUE(RunSteps(finder, ranks, 1, 100, make).empty());
  const std::vector<Straggler> begun =
      RunSteps(finder, ranks, 101, 100 + kSteps, make);
  ASSERT_EQ(begun.size(), 1);
  EXPECT_EQ(begun[0].rank, c.slow_rank);
  EXPECT_EQ(begun[0].part, c.part);
  EXPECT_EQ(begun[0].since, 101);
  EXPECT_EQ(begun[0].by_peers, c.by_peers);
  EXPECT_EQ(begun[0].over, 0);
  EXPECT_NEAR(begun[0].excess, c.seconds, 1e-6);
  EXPECT_NEAR(begun[0].taken - begun[0].expected, c.seconds, 1e-6);
  EXPECT_TRUE(RunSteps(finder, ranks, 101 + kSteps, 200, make).empty());
  EXPECT_EQ(finder.now().size(), 1);
  EXPECT_EQ(finder.now()[0].since, 101);
  const std::vector<Straggler> ended =
      RunSteps(finder, ranks, 201, 200 + kSteps, make);
  ASSERT_EQ(ended.size(), 1);
  EXPECT_EQ(ended[0].rank, c.slow_rank);
  EXPECT_EQ(ended[0].over, 216);
  EXPECT_TRUE(finder.now().empty());
}

INSTANTIATE_TEST_SUITE_P(
    All, Stragglers,
    testing::Values(
        Case{"TwoReplicas", {0, 0}, 1, StepPart::kBackward, 0.1, true},
        Case{"RankZero", {0, 0}, 0, StepPart::kForward, 0.1, true},
        Case{"FourReplicas", {0, 0, 0, 0}, 2, StepPart::kData, 0.1, true},
        // Two stages of two; the second is heavier.
        Case{"LightStage", {0, 0, 1, 1}, 1, StepPart::kForward, 0.1, true},
        Case{"HeavyStage", {0, 0, 1, 1}, 2, StepPart::kOptimizer, 0.1, true},
        // Each stage is one rank.
        Case{"Alone", {0, 1}, 0, StepPart::kBackward, 0.15, false},
        Case{"AloneAndHeavy", {0, 1, 2}, 2, StepPart::kReduction, 0.2, false},
        // One stage has peers, the other none.
        Case{"Uneven", {0, 0, 1}, 2, StepPart::kForward, 0.15, false},
        Case{"Host", {0, 0}, 0, StepPart::kHost, 0.1, true}),
    [](const auto& info) { return info.param.name; });

TEST(StragglerFinder, TakesAHeavyStageForNone) {
  StragglerFinder finder({0, 0, 1, 1, 2, 2}, kSteps);
  const auto make = [](int rank, int) { return Clean(1 + rank / 2); };
  EXPECT_TRUE(RunSteps(finder, 6, 1, 200, make).empty());
}

// Rank 0 writes metrics, in every step.
TEST(StragglerFinder, TakesWhatRankZeroAlwaysDoesForNone) {
  StragglerFinder finder({0, 0, 0, 0}, kSteps);
  const auto make = [](int rank, int) {
    RankStep one = Clean();
    if (rank == 0) Part(one, StepPart::kHost) += 0.2;
    return one;
  };
  EXPECT_TRUE(RunSteps(finder, 4, 1, 200, make).empty());
}

// From the first step on: a slower machine.
TEST(StragglerFinder, NamesARankThatWasAlwaysSlowerThanItsPeers) {
  StragglerFinder finder({0, 0, 0}, kSteps);
  const auto make = [](int rank, int) { return Clean(rank == 1 ? 1.5 : 1); };
  const std::vector<Straggler> news = RunSteps(finder, 3, 1, kSteps, make);
  ASSERT_EQ(news.size(), 1);
  EXPECT_EQ(news[0].rank, 1);
  EXPECT_EQ(news[0].part, StepPart::kBackward);
}

TEST(StragglerFinder, NamesTwoOfFourTheWorstFirst) {
  StragglerFinder finder({0, 0, 0, 0}, kSteps);
  const auto make = [](int rank, int) {
    return Clean(rank == 1 ? 1.5 : rank == 3 ? 2 : 1);
  };
  EXPECT_EQ(RunSteps(finder, 4, 1, kSteps, make).size(), 2);
  ASSERT_EQ(finder.now().size(), 2);
  EXPECT_EQ(finder.now()[0].rank, 3);
  EXPECT_EQ(finder.now()[1].rank, 1);
}

// When something else takes the machine all are slow, alone or not.
TEST(StragglerFinder, TakesASlowMachineForNoStraggler) {
  for (const std::vector<int>& work :
       {std::vector<int>{0, 1, 2}, std::vector<int>{0, 0, 1, 1}}) {
    StragglerFinder finder(work, kSteps);
    const auto make = [&](int rank, int step) {
      return Clean((1 + work[rank]) * (step > 100 ? 3.0 : 1.0));
    };
    EXPECT_TRUE(
        RunSteps(finder, static_cast<int>(work.size()), 1, 300, make).empty());
  }
}

// Fewer slow steps than make a straggler, however slow they are.
TEST(StragglerFinder, ForgetsShortTroubles) {
  StragglerFinder finder({0, 0}, kSteps);
  const auto make = [](int rank, int step) {
    return Clean(rank == 1 && step % 40 < 14 ? 10 : 1);
  };
  EXPECT_TRUE(RunSteps(finder, 2, 1, 400, make).empty());
}

TEST(StragglerFinder, CountsWhatIsSmallForNothing) {
  StragglerFinder finder({0, 0}, kSteps);
  const auto make = [](int rank, int) {
    RankStep one;
    one.busy = {0, 0, rank == 1 ? 0.029 : 0.01, 0, 0, 0};
    return one;
  };
  EXPECT_TRUE(RunSteps(finder, 2, 1, 100, make).empty());
}

// More ranks than cores, and other programs: in every step each part of each
// rank may be cut off for as long as the whole step takes, and now and then a
// rank is for many steps in a row.
class Noise : public testing::TestWithParam<std::vector<int>> {};

TEST_P(Noise, GivesNoFalseAlarmInAThousandSteps) {
  const std::vector<int>& work = GetParam();
  for (int seed = 0; seed < 10; ++seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(0, 1);
    std::vector<int> burst(work.size(), 0);
    StragglerFinder finder(work, kDefaultSteps);
    const auto make = [&](int rank, int) {
      RankStep one = Clean(1 + 0.7 * work[rank]);
      for (double& seconds : one.busy) {
        seconds *= std::exp(0.3 * (uniform(random) - 0.5));
        if (uniform(random) < 0.25) seconds += 0.3 * uniform(random);
      }
      if (burst[rank] == 0 && uniform(random) < 0.01) burst[rank] = 6;
      if (burst[rank] > 0) {
        --burst[rank];
        Part(one, StepPart::kForward) += 0.5;
      }
      return one;
    };
    const std::vector<Straggler> news =
        RunSteps(finder, static_cast<int>(work.size()), 1, 1000, make);
    EXPECT_TRUE(news.empty()) << "seed " << seed << ", rank " << news[0].rank;
    // And it still finds one.
    const auto slower = [&](int rank, int step) {
      RankStep one = make(rank, step);
      if (rank == 1) Part(one, StepPart::kBackward) += 1;
      return one;
    };
    const std::vector<Straggler> found =
        RunSteps(finder, static_cast<int>(work.size()), 1001, 1100, slower);
    ASSERT_EQ(found.size(), 1) << "seed " << seed;
    EXPECT_EQ(found[0].rank, 1);
    EXPECT_EQ(found[0].part, StepPart::kBackward);
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, Noise,
                         testing::Values(std::vector<int>{0, 0},
                                         std::vector<int>{0, 1},
                                         std::vector<int>{0, 0, 1, 1},
                                         std::vector<int>(8, 0)));

TEST(StragglerText, SaysWhoWhereAndHowMuch) {
  Straggler one{.rank = 1,
                .part = StepPart::kBackward,
                .since = 120,
                .excess = 0.25,
                .taken = 0.42,
                .expected = 0.2,
                .by_peers = true};
  const std::vector<std::string> hosts = {"node6", "node7"};
  EXPECT_EQ(ToText(one, hosts),
            "rank 1 (node7) is slow since step 120: backward takes 0.42 s, "
            "where its peers take 0.2 s; it holds each step up by 0.25 s");
  one.by_peers = false;
  EXPECT_EQ(ToText(one, hosts),
            "rank 1 (node7) is slow since step 120: backward takes 0.42 s, "
            "where it took 0.2 s before; it holds each step up by 0.25 s");
  one.over = 300;
  EXPECT_EQ(ToText(one, hosts),
            "rank 1 (node7) is no longer slow since step 300");
}

}  // namespace
}  // namespace eisbach::watch::stragglers_test
