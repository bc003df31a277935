#include "optim/schedule.h"

#include <cmath>

#include "support/status_testing.h"

namespace eisbach::optim::schedule_test {
namespace {

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

ScheduleConfig Config(std::string name) {
  return {.name = std::move(name),
          .learning_rate = 1.0,
          .min_learning_rate = 0.1,
          .warmup_steps = 4,
          .total_steps = 24};
}

LearningRateSchedule Make(const ScheduleConfig& config) {
  return test::Value(LearningRateSchedule::Make(config));
}

TEST(LearningRateSchedule, WarmupRisesFromItsFirstStep) {
  for (const char* name : {"constant", "linear", "cosine"}) {
    const LearningRateSchedule schedule = Make(Config(name));
    EXPECT_DOUBLE_EQ(schedule.At(1), 0.25);
    EXPECT_DOUBLE_EQ(schedule.At(2), 0.5);
    EXPECT_DOUBLE_EQ(schedule.At(4), 1.0);
  }
}

TEST(LearningRateSchedule, Constant) {
  const LearningRateSchedule schedule = Make(Config("constant"));
  EXPECT_EQ(schedule.At(5), 1.0);
  EXPECT_EQ(schedule.At(1000), 1.0);
}

TEST(LearningRateSchedule, Linear) {
  const LearningRateSchedule schedule = Make(Config("linear"));
  EXPECT_DOUBLE_EQ(schedule.At(14), 0.55);
  EXPECT_DOUBLE_EQ(schedule.At(19), 0.325);
  EXPECT_DOUBLE_EQ(schedule.At(24), 0.1);
  EXPECT_DOUBLE_EQ(schedule.At(30), 0.1);
}

TEST(LearningRateSchedule, Cosine) {
  const LearningRateSchedule schedule = Make(Config("cosine"));
  EXPECT_DOUBLE_EQ(schedule.At(14), 0.55);
  EXPECT_DOUBLE_EQ(schedule.At(9), 0.1 + 0.45 * (1 + std::sqrt(0.5)));
  EXPECT_DOUBLE_EQ(schedule.At(24), 0.1);
  EXPECT_DOUBLE_EQ(schedule.At(30), 0.1);
}

// Of the first 14 steps none depends on how many there are.
TEST(LearningRateSchedule, StaysAndThenDecays) {
  ScheduleConfig config = Config("wsd");
  config.total_steps = 26;
  config.decay_steps = 12;
  struct Case {
    const char* decay;
    double quarter, half;
  };
  const Case cases[] = {{"linear", 0.775, 0.55},
                        {"cosine", 0.1 + 0.45 * (1 + std::sqrt(0.5)), 0.55},
                        {"sqrt", 0.55, 1 - 0.9 * std::sqrt(0.5)}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.decay);
    config.decay = c.decay;
    const LearningRateSchedule schedule = Make(config);
    EXPECT_DOUBLE_EQ(schedule.At(2), 0.5);
    EXPECT_DOUBLE_EQ(schedule.At(4), 1.0);
    EXPECT_DOUBLE_EQ(schedule.At(14), 1.0);
    EXPECT_NEAR(schedule.At(17), c.quarter, 1e-12);
    EXPECT_NEAR(schedule.At(20), c.half, 1e-12);
    EXPECT_DOUBLE_EQ(schedule.At(26), 0.1);
    EXPECT_THAT(schedule.CheckStep(26), test::IsOk());
    EXPECT_FALSE(schedule.CheckStep(27).ok());
  }
}

TEST(LearningRateSchedule, Restarts) {
  ScheduleConfig config = Config("cosine_restarts");
  config.cycle_steps = 8;
  const auto at = [&](double part) {
    return 0.1 + 0.45 * (1 + std::cos(std::acos(-1.0) * part));
  };
  LearningRateSchedule schedule = Make(config);
  for (const int64_t begin : {4, 12, 20, 1004}) {
    EXPECT_NEAR(schedule.At(begin), 1, 1e-12) << begin;
    EXPECT_NEAR(schedule.At(begin + 4), 0.55, 1e-12) << begin;
    EXPECT_NEAR(schedule.At(begin + 7), at(7.0 / 8), 1e-12) << begin;
  }
  EXPECT_THAT(schedule.CheckStep(1000), test::IsOk());
  config.cycle_factor = 2;  // cycles begin at 4, 12, 28, 60
  schedule = Make(config);
  EXPECT_NEAR(schedule.At(11), at(7.0 / 8), 1e-12);
  EXPECT_NEAR(schedule.At(12), 1, 1e-12);
  EXPECT_NEAR(schedule.At(27), at(15.0 / 16), 1e-12);
  EXPECT_NEAR(schedule.At(28), 1, 1e-12);
  EXPECT_NEAR(schedule.At(36), at(0.25), 1e-12);
  EXPECT_NEAR(schedule.At(60), 1, 1e-12);
}

TEST(LearningRateSchedule, WithoutWarmupTheFirstStepIsOnTheCurve) {
  ScheduleConfig config = Config("linear");
  config.warmup_steps = 0;
  config.total_steps = 10;
  EXPECT_DOUBLE_EQ(Make(config).At(1), 1.0 - 0.9 / 10);
  EXPECT_DOUBLE_EQ(Make(config).At(10), 0.1);
}

TEST(LearningRateSchedule, ARunOfWarmupAlone) {
  ScheduleConfig config = Config("cosine");
  config.warmup_steps = config.total_steps = 8;
  EXPECT_DOUBLE_EQ(Make(config).At(7), 7.0 / 8);
  EXPECT_DOUBLE_EQ(Make(config).At(8), 1.0);
}

TEST(LearningRateSchedule, TellsOfStepsPastItsEnd) {
  for (const char* name : {"linear", "cosine"}) {
    const LearningRateSchedule schedule = Make(Config(name));
    EXPECT_THAT(schedule.CheckStep(24), test::IsOk());
    EXPECT_THAT(schedule.CheckStep(25),
                test::StatusIs(absl::StatusCode::kOutOfRange,
                               absl::StrCat("step 25 is past the end of the ",
                                            name, " schedule, which has 24")));
  }
  EXPECT_THAT(Make(Config("constant")).CheckStep(1000), test::IsOk());
}

TEST(LearningRateSchedule, RejectsWhatMakesNoSense) {
  const auto expect = [](const ScheduleConfig& config, const char* part) {
    EXPECT_THAT(LearningRateSchedule::Make(config),
                test::StatusIs(kInvalid, part));
  };
  expect(Config("step"),
         "constant, linear, cosine, wsd, cosine_restarts (optimizer.schedule)");
  expect(Config("sqrt"), "\"sqrt\" is not one of constant");
  ScheduleConfig config = Config("wsd");
  for (const int64_t steps : {0, 21}) {
    config.decay_steps = steps;
    expect(config,
           "is outside [1, 20], what warmup_steps=4 leaves of steps=24 "
           "(optimizer.decay_steps)");
  }
  config.decay_steps = 20;
  EXPECT_THAT(LearningRateSchedule::Make(config), test::IsOk());
  config.decay = "constant";
  expect(config, "linear, cosine, sqrt (optimizer.decay)");
  config = Config("cosine_restarts");
  expect(config, "cycle_steps=0 is below 1 (optimizer.cycle_steps)");
  config.cycle_steps = 1;
  config.cycle_factor = 0.5;
  expect(config, "cycle_factor=0.5 is below 1 (optimizer.cycle_factor)");
  config = Config("cosine");
  config.learning_rate = 0;
  expect(config, "optimizer.lr");
  config.learning_rate = std::nan("");
  expect(config, "optimizer.lr");
  config.learning_rate = 1e39;
  expect(config, "lr=1e+39 is above 3.4e+38, the most that f32 holds");
  config.learning_rate = 1e-50;
  config.min_learning_rate = 0;
  expect(config, "f32 holds (optimizer.lr)");
  config = Config("cosine");
  config.min_learning_rate = 1e-50;
  expect(config, "f32 holds (optimizer.min_lr)");
  config = Config("cosine");
  config.min_learning_rate = 2;
  expect(config, "optimizer.min_lr");
  config = Config("cosine");
  config.warmup_steps = -1;
  expect(config, "optimizer.warmup_steps");
}

}  // namespace
}  // namespace eisbach::optim::schedule_test
