#include "plan/run_cost.h"

#include <gtest/gtest.h>

#include <random>

#include "cpp/plan/plan_testing.h"

namespace eisbach::plan::run_cost_test {
namespace {

Forecast Step(double seconds) {
  Forecast step;
  step.seconds = seconds;
  step.stages.resize(1);
  step.stages[0].busy = {.products = seconds / 2, .communication = seconds / 2};
  return step;
}

TEST(RunCostTest, WithoutFailuresARunTakesItsSteps) {
  const RunCost cost = CostOfRun(UseOf(Step(3.6)), RoundMachine(),
                                 {.steps = 1000, .devices = 10, .grid = 0.5});
  EXPECT_DOUBLE_EQ(cost.hours, 1);
  EXPECT_DOUBLE_EQ(cost.device_hours, 10);
  EXPECT_EQ(cost.useful, 1);
  EXPECT_DOUBLE_EQ(cost.watts, 300);  // half of the time it waits
  EXPECT_DOUBLE_EQ(cost.megawatt_hours, 0.003);
  EXPECT_DOUBLE_EQ(cost.co2_tonnes, 0.0015);
}

// Against a job that is played with failures at random.
TEST(RunCostTest, UsefulTimeIsThatOfAPlayedJob) {
  Hardware machine = RoundMachine();
  machine.hours_between_failures = 1000;
  const RunConditions conditions{.steps = 1'000'000,
                                 .devices = 200,
                                 .save_stall = 10,
                                 .save = 10,
                                 .restart = 120};
  const RunCost cost = CostOfRun(UseOf(Step(1)), machine, conditions);
  EXPECT_DOUBLE_EQ(cost.hours_between_failures, 5);
  std::mt19937 random(7);
  const auto played = [&](double every) {
    std::exponential_distribution<double> failure(1 / (5 * 3600.0));
    double clock = 0, done = 0, next = failure(random);
    const double work = 3e7;
    while (done < work) {
      const double segment = every + conditions.save_stall;
      if (next < segment) {  // the segment is lost, and the save before it late
        clock += next + conditions.restart + conditions.save;
        next = failure(random);
      } else {
        clock += segment;
        next -= segment;
        done += every;
      }
    }
    return done / clock;
  };
  EXPECT_NEAR(cost.useful, played(cost.save_every), 0.004);
  // And the interval is the best there is.
  EXPECT_GT(cost.useful, played(cost.save_every * 3));
  EXPECT_GT(cost.useful, played(cost.save_every / 3));
}

// However often it fails and whatever that takes, nothing is no number.
TEST(RunCostTest, ARunThatMakesNoHeadwayNeverEnds) {
  for (const double between : {1e-320, 1e-300, 1e-3, 1.0}) {
    for (const double restart : {0.0, 300.0, 1e300}) {
      for (const double stall : {0.0, 1.0, 1e300}) {
        Hardware machine = RoundMachine();
        machine.hours_between_failures = between;
        const RunConditions conditions{.steps = 1000,
                                       .devices = 1000,
                                       .save_stall = stall,
                                       .restart = restart};
        const RunCost cost = CostOfRun(UseOf(Step(3.6)), machine, conditions);
        EXPECT_FALSE(cost.ends());
        EXPECT_EQ(cost.useful, 0);
        EXPECT_GT(cost.save_every, 0);
        EXPECT_LT(WhyItNeverEnds(cost, conditions).size(), 120);
      }
    }
  }
  Hardware machine = RoundMachine();
  machine.hours_between_failures = 100;
  const RunConditions often{.steps = 1000, .devices = 1000};
  const RunCost cost = CostOfRun(UseOf(Step(3.6)), machine, often);
  EXPECT_TRUE(cost.ends());
  EXPECT_GT(cost.useful, 0.1);
  machine.hours_between_failures = 2;
  EXPECT_EQ(WhyItNeverEnds(CostOfRun(UseOf(Step(3.6)), machine, often), often),
            "a failure every 7.2 s, after one 360 s until training goes on, "
            "and 1 s for a checkpoint");
}

}  // namespace
}  // namespace eisbach::plan::run_cost_test
