#include "optim/step_guard.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/op_testing.h"

namespace eisbach::optim::step_guard_test {
namespace {

using test::FromValues;
using test::StatusIs;
using test::TheStream;

SpikeConfig ConfigOf(OnSpike on_spike, double deviations, int window = 4) {
  return {.on_spike = on_spike,
          .rule = {.window = window, .deviations = deviations}};
}

// Judges a step of this loss and norm; whether it may change weights.
bool Judges(StepGuard& guard, double loss, double norm) {
  StepState state = test::Value(StepState::Make(TheStream()));
  const Tensor verdict =
      FromValues({ops::kVerdictSize}, DType::kF64, {0, 0, 0, 0});
  EISBACH_EXPECT_OK(guard.Judge(FromValues({1}, DType::kF64, {norm * norm}),
                                FromValues({1}, DType::kF64, {loss}), {},
                                /*loss_scaled=*/false, state, verdict,
                                TheStream()));
  const bool updates = test::ToDoubles(state.values())[ops::kFinite] != 0;
  EISBACH_EXPECT_OK(guard.End(state, verdict, TheStream()));
  return updates;
}

TEST(StepGuard, JudgesWhereThereIsMoreThanToStop) {
  EXPECT_FALSE(SpikeConfig().judges());
  EXPECT_TRUE(ConfigOf(OnSpike::kStop, 5).judges());
  EXPECT_TRUE(ConfigOf(OnSpike::kSkip, 0).judges());
  EXPECT_TRUE(ConfigOf(OnSpike::kRerun, 0).judges());
}

// A guard that is given what another remembers judges as that one would, also
// where its window is smaller.
TEST(StepGuard, RestoresItsHistory) {
  auto guard =
      test::Value(StepGuard::Make(ConfigOf(OnSpike::kSkip, 10), TheStream()));
  for (double loss : {9.0, 8.0, 7.0, 6.0, 5.0, 4.0}) {
    EXPECT_TRUE(Judges(guard, loss, loss / 10));
  }
  EXPECT_FALSE(Judges(guard, 1e3, 1));
  const SpikeHistory history = test::Value(guard.Read(TheStream()));
  EXPECT_EQ(history.losses, (std::vector<double>{7, 6, 5, 4}));
  EXPECT_EQ(history.norms.size(), 4u);
  EXPECT_EQ(history.in_a_row, 1);
  EXPECT_EQ(history.skipped, 1);

  auto other =
      test::Value(StepGuard::Make(ConfigOf(OnSpike::kSkip, 10), TheStream()));
  EISBACH_EXPECT_OK(other.Restore(history, TheStream()));
  EXPECT_EQ(test::Value(other.Read(TheStream())), history);
  for (double loss : {3.0, 1e3, 2.0}) {
    EXPECT_EQ(Judges(other, loss, 1), Judges(guard, loss, 1)) << loss;
  }
  EXPECT_EQ(test::Value(other.Read(TheStream())),
            test::Value(guard.Read(TheStream())));

  SpikeHistory longer = history;
  longer.losses.insert(longer.losses.begin(), 1e9);
  longer.norms.insert(longer.norms.begin(), 1e9);
  EISBACH_EXPECT_OK(other.Restore(longer, TheStream()));
  EXPECT_EQ(test::Value(other.Read(TheStream())), history);

  SpikeHistory shorter{.losses = {3}, .norms = {1}};
  EISBACH_EXPECT_OK(other.Restore(shorter, TheStream()));
  EXPECT_EQ(test::Value(other.Read(TheStream())), shorter);
  EXPECT_TRUE(Judges(other, 1e3, 1)) << "the window is not full";
}

TEST(StepGuard, SkipsWhenItIsTold) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  for (OnSpike on_spike : {OnSpike::kStop, OnSpike::kSkip, OnSpike::kRerun}) {
    auto guard =
        test::Value(StepGuard::Make(ConfigOf(on_spike, 1), TheStream()));
    const auto skipped = [&] {
      EXPECT_FALSE(Judges(guard, kNaN, 1));
      return test::Value(guard.Read(TheStream())).skipped;
    };
    const int at_first = on_spike == OnSpike::kSkip ? 1 : 0;
    EXPECT_EQ(skipped(), at_first);
    EISBACH_EXPECT_OK(guard.SetSkips(true, TheStream()));
    EXPECT_EQ(skipped(), at_first + 1);
    EISBACH_EXPECT_OK(guard.SetSkips(false, TheStream()));
    EXPECT_EQ(skipped(), at_first + 1);
  }
}

TEST(StepGuard, WordsAreThoseOfTheConfiguration) {
  for (const char* word : {"stop", "skip", "rerun"}) {
    EXPECT_EQ(Name(test::Value(ParseOnSpike(word))), word);
  }
  EXPECT_THAT(ParseOnSpike("retry"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "on_spike=\"retry\" is not one of stop, skip, rerun"));
}

TEST(StepGuard, ErrorsNameTheKey) {
  const auto expect = [](auto change, const char* part) {
    SpikeConfig config;
    change(config);
    EXPECT_THAT(Validate(config),
                StatusIs(absl::StatusCode::kInvalidArgument, part));
  };
  EISBACH_EXPECT_OK(Validate({}));
  expect([](SpikeConfig& c) { c.rule.deviations = -1; },
         "(fault.spike_deviations)");
  expect([](SpikeConfig& c) { c.rule.window = 3; },
         "(fault.spike_window); nearest that works: 4");
  expect([](SpikeConfig& c) { c.rule.window = 1000; },
         "nearest that works: 256");
  expect([](SpikeConfig& c) { c.most_skips = 0; }, "(fault.most_skips)");
}

}  // namespace
}  // namespace eisbach::optim::step_guard_test
