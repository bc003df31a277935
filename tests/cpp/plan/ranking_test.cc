#include "plan/ranking.h"

#include <gtest/gtest.h>

#include <limits>

#include "cpp/plan/plan_testing.h"
#include "support/status_testing.h"

namespace eisbach::plan::ranking_test {
namespace {

constexpr StepUse kStep{.seconds = 3.6, .computing = 1.8};

TEST(RankingTest, ScoresAreThoseOfTheRun) {
  const Hardware machine = RoundMachine();
  Ranking ranking{.run = {.steps = 1000}};
  EXPECT_DOUBLE_EQ(Score(10, kStep, ranking, machine), 3.6);
  ranking.by = RankBy::kCost;
  EXPECT_DOUBLE_EQ(Score(10, kStep, ranking, machine), 10);
  ranking.by = RankBy::kEnergy;
  // 300 W on average: half of the time it waits.
  EXPECT_DOUBLE_EQ(Score(10, kStep, ranking, machine), 0.003);
}

// What prunes a search.
TEST(RankingTest, ScoresGrowWithWhatAStepTakes) {
  Hardware machine = RoundMachine();
  machine.hours_between_failures = 5000;
  for (const RankBy by : {RankBy::kTime, RankBy::kCost, RankBy::kEnergy}) {
    const Ranking ranking{.by = by, .run = {.steps = 1'000'000}};
    double before = 0;
    for (const StepUse& use : {StepUse{1, 0.2}, StepUse{1.1, 0.2},
                               StepUse{1.2, 0.9}, StepUse{5, 0.9}}) {
      const double score = Score(100, use, ranking, machine);
      EXPECT_GT(score, before);
      before = score;
    }
  }
}

// What gives up a step that is under way.
TEST(RankingTest, AScoreAllowsSoManySeconds) {
  Hardware machine = RoundMachine();
  machine.hours_between_failures = 5000;
  for (const RankBy by : {RankBy::kTime, RankBy::kCost, RankBy::kEnergy}) {
    const Ranking ranking{.by = by, .run = {.steps = 1'000'000}};
    const double most = Score(100, {7.5, kStep.computing}, ranking, machine);
    EXPECT_NEAR(MostSeconds(100, kStep, most, ranking, machine), 7.5, 1e-6);
    constexpr double kAny = std::numeric_limits<double>::infinity();
    EXPECT_EQ(MostSeconds(100, kStep, kAny, ranking, machine), kAny);
    EXPECT_EQ(MostSeconds(100, {}, most, ranking, machine), kAny);
  }
}

TEST(RankingTest, ADeadlineCountsFailuresToo) {
  Hardware machine = RoundMachine();
  const Ranking ranking{.run = {.steps = 1000}, .most_hours = 1.0};
  EXPECT_TRUE(InTime(10, kStep, ranking, machine));
  EXPECT_FALSE(InTime(10, kStep * 1.01, ranking, machine));
  EXPECT_TRUE(InTime(10, kStep * 100, {}, machine));
  machine.hours_between_failures = 20;
  EXPECT_FALSE(InTime(10, kStep, ranking, machine));
}

TEST(RankingTest, RunsThatNeverEndAreNotRankedByWhatTheyCost) {
  Hardware machine = RoundMachine();
  machine.hours_between_failures = 2;
  Ranking ranking{.run = {.steps = 1000}};
  EXPECT_TRUE(CheckEnds(1000, kStep, ranking, machine).ok());
  ranking.by = RankBy::kEnergy;
  EXPECT_THAT(CheckEnds(1000, kStep, ranking, machine),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "by=energy: the run never ends: a failure every "
                             "7.2 s, after one 360 s until training goes on, "
                             "and 1 s for a checkpoint; nearest that works: "
                             "by=time"));
  machine.hours_between_failures = 1e5;
  EXPECT_TRUE(CheckEnds(1000, kStep, ranking, machine).ok());
}

TEST(RankingTest, ARangeHoldsWhatMissesByTheError) {
  Hardware machine = RoundMachine();
  EXPECT_EQ(StepRange(2, machine).low, 2);
  EXPECT_EQ(StepRange(2, machine).high, 2);
  machine.accuracy = {.median = 0.1, .p90 = 0.25, .cases = 9};
  const Range range = StepRange(2, machine);
  EXPECT_DOUBLE_EQ(2 / range.low - 1, 0.25);
  EXPECT_DOUBLE_EQ(2 / range.high - 1, -0.25);
}

TEST(RankingTest, WhatAMachineDoesNotTellIsNamed) {
  Hardware machine = RoundMachine();
  EXPECT_TRUE(Check({.by = RankBy::kEnergy}, machine).ok());
  machine.busy_watts = 0;
  EXPECT_THAT(Check({.by = RankBy::kEnergy}, machine),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "by=energy: hardware round does not say what a "
                             "device draws (power.busy_watts); nearest that "
                             "works: by=cost"));
  EXPECT_FALSE(Check({.most_hours = -1}, machine).ok());
}

}  // namespace
}  // namespace eisbach::plan::ranking_test
