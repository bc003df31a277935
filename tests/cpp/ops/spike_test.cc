#include "ops/spike.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::spike_test {
namespace {

using ops::BadStep;
using test::Empty;
using test::FromValues;
using test::IsOk;
using test::StatusIs;
using test::TheStream;
using test::ToDoubles;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr int kSteps = 4;  // of the window

// A judge with its state, which sees steps one by one.
class Judge {
 public:
  explicit Judge(double deviations, int window = kSteps)
      : rule_{.window = window, .deviations = deviations},
        state_(FromValues({ops::SpikeStateSize(window)}, DType::kF64,
                          std::vector<double>(ops::SpikeStateSize(window)))),
        step_state_(StepState(1, 0)) {}

  void Tolerate(int in_a_row) {
    std::vector<double> values = state();
    values[ops::kTolerated] = in_a_row;
    state_ = FromValues(state_.shape(), DType::kF64, values);
  }

  // Judges a step of two losses and ends it; the verdict.
  BadStep Step(double loss, double norm) {
    const Tensor norm_squared =
        FromValues({1}, DType::kF64, {norm * norm * scale_ * scale_});
    const Tensor losses = FromValues({2}, DType::kF64, {loss / 4, loss / 4});
    const Tensor counted = FromValues({1}, DType::kF64, {6});
    const Tensor verdict =
        FromValues({ops::kVerdictSize}, DType::kF64, {9, 9, 9, 9});
    EXPECT_THAT(ops::JudgeStep({.norm_squared = norm_squared,
                                .losses = losses,
                                .tokens = {.counted = &counted, .all = 12},
                                .rule = rule_,
                                .loss_scaled = scale_ != 1,
                                .state = state_,
                                .verdict = verdict,
                                .step_state = step_state_},
                               TheStream()),
                IsOk());
    updates_ = ToDoubles(step_state_)[ops::kFinite] != 0;
    EXPECT_THAT(ops::EndSkippedStep(verdict, step_state_, TheStream()), IsOk());
    verdict_ = ToDoubles(verdict);
    return static_cast<BadStep>(static_cast<int>(verdict_[ops::kBad]));
  }

  void Scale(double scale) {
    scale_ = scale;
    step_state_ = StepState(scale, 0);
  }
  void Void() { step_state_ = StepState(scale_, 1); }
  bool updates() const { return updates_; }
  double limit() const { return verdict_[ops::kLimit]; }
  double median() const { return verdict_[ops::kMedian]; }
  bool is_void() const { return ToDoubles(step_state_)[ops::kVoid] != 0; }
  bool told_void() const { return verdict_[ops::kIsVoid] != 0; }
  std::vector<double> state() const { return ToDoubles(state_); }

 private:
  static Tensor StepState(double scale, double is_void) {
    std::vector<double> values(ops::kStepStateSize, 7);
    values[ops::kFinite] = 1;
    values[ops::kVoid] = is_void;
    values[ops::kLossScale] = scale;
    return FromValues({ops::kStepStateSize}, DType::kF32, values);
  }

  ops::SpikeRule rule_;
  double scale_ = 1;
  Tensor state_, step_state_;
  bool updates_ = false;
  std::vector<double> verdict_;
};

TEST(JudgeStep, WhatIsNotFiniteIsBad) {
  struct {
    double loss, norm;
    BadStep bad;
  } cases[] = {{3, 1, BadStep::kNone},
               {kNaN, 1, BadStep::kLossNotFinite},
               {kInf, 1, BadStep::kLossNotFinite},
               {-kInf, kNaN, BadStep::kLossNotFinite},
               {3, kNaN, BadStep::kNormNotFinite},
               {3, kInf, BadStep::kNormNotFinite},
               {1e9, 1e9, BadStep::kNone}};  // no history
  for (const auto& c : cases) {
    for (const double deviations : {0.0, 20.0}) {
      Judge judge(deviations);
      EXPECT_EQ(judge.Step(c.loss, c.norm), c.bad) << c.loss << " " << c.norm;
      const bool good = c.bad == BadStep::kNone;
      EXPECT_EQ(judge.updates(), good);
      EXPECT_EQ(judge.is_void(), !good);
      EXPECT_EQ(judge.told_void(), !good);
    }
  }
}

// Of 3, 3.2, 3.1, 3.4 the lower median is 3.1, and that of the distances
// 0.1, 0.1, 0, 0.3 is 0.1: the limit is 3.1 + 10 x 0.14826. Of the norms it is
// 1, and 0.25 x 1 is more than the distances.
TEST(JudgeStep, SpikesAreFarAboveTheMedian) {
  struct {
    double loss, norm;
    BadStep bad;
    double limit, median;
  } cases[] = {{4.57, 3.49, BadStep::kNone, 0, 0},
               {4.59, 1, BadStep::kLossSpike, 4.5826, 3.1},
               {4.59, 99, BadStep::kLossSpike, 4.5826, 3.1},
               {3, 3.51, BadStep::kNormSpike, 3.5, 1},
               {0, 0, BadStep::kNone, 0, 0}};  // below is no spike
  for (const auto& c : cases) {
    Judge judge(10);
    for (const auto& [loss, norm] :
         {std::pair(3.0, 1.0), {3.2, 1.1}, {3.1, 0.9}, {3.4, 1.0}}) {
      EXPECT_EQ(judge.Step(loss, norm), BadStep::kNone);
    }
    EXPECT_EQ(judge.Step(c.loss, c.norm), c.bad) << c.loss << " " << c.norm;
    EXPECT_NEAR(judge.limit(), c.limit, 1e-12);
    EXPECT_NEAR(judge.median(), c.median, 1e-12);
    Judge off(0);
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(off.Step(c.loss, c.norm), BadStep::kNone);
    }
  }
}

TEST(JudgeStep, NothingIsASpikeBeforeTheWindowIsFull) {
  Judge judge(1);
  for (int i = 1; i <= kSteps; ++i) {
    EXPECT_EQ(judge.Step(i * 100, i * 100), BadStep::kNone);
  }
  EXPECT_EQ(judge.Step(1e4, 1), BadStep::kLossSpike);
}

// A loss of nearly nothing may double many times.
TEST(JudgeStep, DeviationsHaveALeastSize) {
  Judge judge(20);
  for (int i = 0; i < kSteps; ++i) judge.Step(1e-4, 1);
  EXPECT_EQ(judge.Step(0.2, 1), BadStep::kNone);
  Judge other(20);
  for (int i = 0; i < kSteps; ++i) other.Step(1e-4, 1);
  EXPECT_EQ(other.Step(0.201, 1), BadStep::kLossSpike);
}

// Bad steps leave the window alone; the newest good ones are in it.
TEST(JudgeStep, TheWindowIsOfGoodSteps) {
  Judge judge(10);
  judge.Tolerate(1);
  for (double loss : {9, 8, 7, 6, 5}) judge.Step(loss, 1);
  std::vector<double> losses = judge.state();
  losses.assign(losses.begin() + ops::kWindow,
                losses.begin() + ops::kWindow + kSteps);
  EXPECT_EQ(losses, (std::vector<double>{5, 8, 7, 6}));
  const std::vector<double> before = judge.state();
  EXPECT_EQ(judge.Step(1e3, 1), BadStep::kLossSpike);
  std::vector<double> after = judge.state();
  EXPECT_EQ(after[ops::kInARow], 1);
  EXPECT_EQ(after[ops::kSkipped], 1);
  after[ops::kInARow] = after[ops::kSkipped] = 0;
  EXPECT_EQ(after, before);
}

TEST(JudgeStep, SkipsAsManyInARowAsAreTolerated) {
  Judge judge(0);
  judge.Tolerate(2);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(judge.Step(kNaN, kNaN), BadStep::kLossNotFinite);
      EXPECT_FALSE(judge.updates());
      EXPECT_FALSE(judge.is_void());
      EXPECT_FALSE(judge.told_void());
    }
    EXPECT_EQ(judge.Step(3, 1), BadStep::kNone);
    EXPECT_TRUE(judge.updates());
  }
  EXPECT_EQ(judge.state()[ops::kSkipped], 4);
  for (const bool is_void : {false, false, true}) {
    judge.Step(kNaN, 1);
    EXPECT_EQ(judge.is_void(), is_void);
    EXPECT_EQ(judge.told_void(), is_void);
  }
  EXPECT_EQ(judge.state()[ops::kSkipped], 6);
  // Nothing is judged any more.
  EXPECT_EQ(judge.Step(kNaN, 1), BadStep::kNone);
  EXPECT_TRUE(judge.is_void());
  EXPECT_EQ(judge.state()[ops::kSkipped], 6);
}

// Overflow in f16 belongs to the loss scale until that is at its least.
TEST(JudgeStep, LeavesOverflowToTheLossScale) {
  Judge judge(0);
  judge.Scale(64);
  EXPECT_EQ(judge.Step(3, kInf), BadStep::kNone);
  EXPECT_EQ(judge.state()[ops::kKept], 0);
  EXPECT_EQ(judge.Step(3, 0.5), BadStep::kNone);
  EXPECT_EQ(judge.state()[ops::kWindow + kSteps], 0.5);  // without the scale
  EXPECT_EQ(judge.Step(kNaN, kInf), BadStep::kLossNotFinite);
}

// The median of a full window, wherever it stands and where values are equal.
TEST(JudgeStep, FindsTheMedianOfTheLargestWindow) {
  constexpr int kWindow = ops::kMostSpikeWindow;
  for (const int equal : {1, 7, kWindow}) {
    Judge judge(1e-9, kWindow);
    std::vector<double> losses;
    for (int i = 0; i < kWindow; ++i) {
      losses.push_back(2 + (i * 37 % kWindow) / equal * 1e-3);
      EXPECT_EQ(judge.Step(losses.back(), 0), BadStep::kNone) << i;
    }
    std::sort(losses.begin(), losses.end());
    EXPECT_EQ(judge.Step(1e9, 0), BadStep::kLossSpike);
    EXPECT_NEAR(judge.median(), losses[(kWindow - 1) / 2], 1e-12) << equal;
  }
}

TEST(JudgeStep, NamesWhatDoesNotFit) {
  const Tensor one = FromValues({1}, DType::kF64, {1});
  for (const int window : {3, 257}) {
    EXPECT_THAT(
        ops::JudgeStep({.norm_squared = one,
                        .losses = one,
                        .tokens = {},
                        .rule = {.window = window},
                        .loss_scaled = false,
                        .state = one,
                        .verdict = one,
                        .step_state = one},
                       TheStream()),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 absl::StrCat("window=", window, " is outside [4, 256]")));
  }
}

TEST(JudgeStep, TellsItsCostOnMeta) {
  Device& meta = test::Meta();
  const Tensor one = Empty({1}, DType::kF64, meta);
  const Tensor state = Empty({ops::SpikeStateSize(4)}, DType::kF64, meta);
  const Tensor verdict = Empty({ops::kVerdictSize}, DType::kF64, meta);
  const Tensor step_state = Empty({ops::kStepStateSize}, DType::kF32, meta);
  const auto costs = test::MetaCosts([&] {
    EXPECT_THAT(ops::JudgeStep({.norm_squared = one,
                                .losses = one,
                                .tokens = {},
                                .rule = {.window = 4, .deviations = 1},
                                .loss_scaled = false,
                                .state = state,
                                .verdict = verdict,
                                .step_state = step_state},
                               test::MetaStream()),
                IsOk());
    EXPECT_THAT(ops::EndSkippedStep(verdict, step_state, test::MetaStream()),
                IsOk());
  });
  ASSERT_EQ(costs.size(), 2u);
  EXPECT_EQ(costs[0].second.bytes_read, 8 + 8 * (5 + 8));
}

}  // namespace
}  // namespace eisbach::spike_test
