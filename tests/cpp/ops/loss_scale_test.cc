#include "ops/loss_scale.h"

#include <gtest/gtest.h>

#include <limits>

#include "ops/optimizer.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::loss_scale_test {
namespace {

using test::Empty;
using test::FromValues;
using test::IsOk;
using test::StatusIs;
using test::TheStream;
using test::ToDoubles;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kMost = ops::kMostLossScale;

struct State {
  double finite = 1, is_void = 0, scale = 1, good = 0;

  Tensor ToTensor() const {
    std::vector<double> values(ops::kStepStateSize, 7);  // others stay
    values[ops::kFinite] = finite;
    values[ops::kVoid] = is_void;
    values[ops::kLossScale] = scale;
    values[ops::kGoodSteps] = good;
    return FromValues({ops::kStepStateSize}, DType::kF32, values);
  }
};

struct Case {
  const char* what;
  State before;
  double norm_squared;
  std::vector<double> losses;
  State after;
};

const Case kCases[] = {
    {"a good step", {1, 0, 64, 0}, 4096, {1, 2}, {1, 0, 64, 1}},
    {"the last of the window", {1, 0, 64, 2}, 1, {1}, {1, 0, 128, 0}},
    {"no higher than the most", {1, 0, kMost, 2}, 1, {1}, {1, 0, kMost, 0}},
    {"up to the most", {1, 0, 0.75 * kMost, 2}, 1, {1}, {1, 0, kMost, 0}},
    {"infinity", {0, 0, 64, 2}, kInf, {1}, {1, 0, 32, 0}},
    {"NaN", {0, 0, 64, 2}, kNaN, {1}, {1, 0, 32, 0}},
    {"down to the least", {0, 0, 1.5, 2}, kInf, {1}, {1, 0, 1, 0}},
    {"nothing below the least", {0, 0, 1, 0}, kInf, {1}, {0, 1, 1, 0}},
    {"a loss of NaN", {0, 0, 64, 2}, kNaN, {1, kNaN}, {0, 1, 64, 2}},
    {"a loss of infinity alone", {1, 0, 64, 2}, 1, {-kInf, 1}, {0, 1, 64, 2}},
    {"after it a good step", {0, 1, 64, 2}, 1, {1}, {0, 1, 64, 2}},
    {"after it a bad step", {0, 1, 64, 2}, kInf, {1}, {0, 1, 64, 2}},
    {"no losses", {1, 0, 2, 0}, 1, {}, {1, 0, 2, 1}},
};

// With a window of 3.
absl::Status Update(const Tensor& norm_squared, const Tensor& losses,
                    const Tensor& used, const Tensor& state) {
  return ops::UpdateLossScale({.norm_squared = norm_squared,
                               .losses = losses,
                               .used = used,
                               .window = 3,
                               .step_state = state},
                              TheStream());
}

TEST(UpdateLossScale, FollowsTheGradients) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.what);
    const Tensor norm_squared = FromValues({1}, DType::kF64, {c.norm_squared});
    const Tensor losses = FromValues({static_cast<int64_t>(c.losses.size())},
                                     DType::kF64, c.losses);
    const Tensor used = Empty({1}, DType::kF64);
    const Tensor state = c.before.ToTensor();
    EXPECT_THAT(Update(norm_squared, losses, used, state), IsOk());
    EXPECT_EQ(ToDoubles(state), ToDoubles(c.after.ToTensor()));
    EXPECT_EQ(ToDoubles(used)[0], c.before.scale);
    const double norm = ToDoubles(norm_squared)[0];
    const double want = c.norm_squared / c.before.scale / c.before.scale;
    EXPECT_TRUE(norm == want || (std::isnan(norm) && std::isnan(want)));
  }
}

// More losses than a block has threads.
TEST(UpdateLossScale, ReadsEveryLoss) {
  constexpr int64_t kLosses = 1000;
  for (int64_t at : {0, 127, 128, 999}) {
    std::vector<double> values(kLosses, 1.0);
    values[at] = kNaN;
    const Tensor losses = FromValues({kLosses}, DType::kF64, values);
    const Tensor norm_squared = FromValues({1}, DType::kF64, {1});
    const Tensor used = Empty({1}, DType::kF64);
    const Tensor state = State{.scale = 4}.ToTensor();
    EXPECT_THAT(Update(norm_squared, losses, used, state), IsOk());
    EXPECT_EQ(ToDoubles(state)[ops::kVoid], 1) << at;
  }
}

TEST(UpdateLossScale, NamesWhatDoesNotFit) {
  const Tensor one = FromValues({1}, DType::kF64, {1});
  const Tensor state = State().ToTensor();
  ops::UpdateLossScaleArgs args{.norm_squared = one,
                                .losses = one,
                                .used = one,
                                .window = 0,
                                .step_state = state};
  EXPECT_THAT(ops::UpdateLossScale(args, TheStream()),
              StatusIs(absl::StatusCode::kInvalidArgument, "window=0"));
  args.window = ops::kMostLossScaleWindow + 1;
  EXPECT_THAT(
      ops::UpdateLossScale(args, TheStream()),
      StatusIs(absl::StatusCode::kInvalidArgument, "is outside [1, 16777216]"));
}

TEST(UpdateLossScale, TellsItsCostOnMeta) {
  Device& meta = test::Meta();
  const Tensor one = Empty({1}, DType::kF64, meta);
  const Tensor losses = Empty({5}, DType::kF64, meta);
  const Tensor state = Empty({ops::kStepStateSize}, DType::kF32, meta);
  const auto costs = test::MetaCosts([&] {
    EXPECT_THAT(ops::UpdateLossScale({.norm_squared = one,
                                      .losses = losses,
                                      .used = one,
                                      .window = 3,
                                      .step_state = state},
                                     test::MetaStream()),
                IsOk());
  });
  ASSERT_EQ(costs.size(), 1u);
  EXPECT_EQ(costs[0].second.bytes_read, 8 + 40 + 32);
}

}  // namespace
}  // namespace eisbach::loss_scale_test
