#include "optim/schedule.h"

#include <cmath>

#include "support/status_testing.h"

namespace eisbach::optim {
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
  expect(Config("step"), "constant, linear, cosine (optimizer.schedule)");
  ScheduleConfig config = Config("cosine");
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
}  // namespace eisbach::optim
