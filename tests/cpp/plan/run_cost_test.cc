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

}  // namespace
}  // namespace eisbach::plan::run_cost_test
