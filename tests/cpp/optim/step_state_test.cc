#include "optim/step_state.h"

#include <cmath>

#include "support/op_testing.h"

namespace eisbach::optim::step_state_test {
namespace {

TEST(StepState, HoldsWhatTheStepNeeds) {
  StepState state = test::Value(StepState::Make(test::TheStream()));
  for (int64_t step : {1, 2, 7, 100000}) {
    EISBACH_ASSERT_OK(state.Begin(step, 1e-3, 0.9, 0.95, test::TheStream()));
    const std::vector<float> values = test::ToFloats(state.values());
    EXPECT_EQ(values[ops::kLearningRate], 1e-3f);
    EXPECT_EQ(values[ops::kGradientFactor], 1);
    EXPECT_EQ(values[ops::kFinite], 1);
    EXPECT_FLOAT_EQ(values[ops::kBiasCorrection1], 1 - std::pow(0.9, step));
    EXPECT_FLOAT_EQ(values[ops::kBiasCorrection2], 1 - std::pow(0.95, step));
    EXPECT_EQ(test::ToDoubles(state.step())[0], step);
  }
}

// By the power series where 1 - beta^n would cancel.
TEST(StepState, BiasCorrectionsAreExactForADecayNearOne) {
  StepState state = test::Value(StepState::Make(test::TheStream()));
  for (double rest : {1e-8, 1e-12, 0x1p-53}) {
    for (int64_t step : {1, 3, 1000}) {
      EISBACH_ASSERT_OK(
          state.Begin(step, 1e-3, 0, 1 - rest, test::TheStream()));
      const std::vector<float> values = test::ToFloats(state.values());
      const double n = static_cast<double>(step), given = 1 - (1 - rest);
      EXPECT_EQ(values[ops::kBiasCorrection1], 1);
      EXPECT_FLOAT_EQ(values[ops::kBiasCorrection2],
                      n * given * (1 - (n - 1) / 2 * given));
    }
  }
}

TEST(StepState, ClearsTheFactorAndKeepsWhatIsNotFinite) {
  StepState state = test::Value(StepState::Make(test::TheStream()));
  EISBACH_ASSERT_OK(state.Begin(1, 1e-3, 0.9, 0.95, test::TheStream()));
  std::vector<double> values = test::ToDoubles(state.values());
  values[ops::kFinite] = 0;
  values[ops::kVoid] = 1;
  values[ops::kGradientFactor] = 0.5;
  test::Assign(state.values(), values);
  EISBACH_ASSERT_OK(state.Begin(2, 1e-3, 0.9, 0.95, test::TheStream()));
  values = test::ToDoubles(state.values());
  EXPECT_EQ(values[ops::kFinite], 0);
  EXPECT_EQ(values[ops::kGradientFactor], 1);
  EISBACH_ASSERT_OK(state.SetFinite(test::TheStream()));
  values = test::ToDoubles(state.values());
  EXPECT_EQ(values[ops::kFinite], 1);
  EXPECT_EQ(values[ops::kVoid], 0);
}

TEST(StepState, KeepsTheLossScaleFromStepToStep) {
  StepState state = test::Value(StepState::Make(test::TheStream()));
  LossScale scale = test::Value(state.ReadLossScale(test::TheStream()));
  EXPECT_EQ(scale.scale, 1);
  EXPECT_EQ(scale.good_steps, 0);
  EISBACH_ASSERT_OK(state.SetLossScale({512, 37}, test::TheStream()));
  EISBACH_ASSERT_OK(state.Begin(1, 1e-3, 0.9, 0.95, test::TheStream()));
  EISBACH_ASSERT_OK(state.SetFinite(test::TheStream()));
  scale = test::Value(state.ReadLossScale(test::TheStream()));
  EXPECT_EQ(scale.scale, 512);
  EXPECT_EQ(scale.good_steps, 37);
  EXPECT_EQ(test::ToDoubles(state.loss_scale())[0], 512);
  EXPECT_EQ(test::ToDoubles(state.values())[ops::kFinite], 1);
}

TEST(StepState, StepsCountFromOne) {
  StepState state = test::Value(StepState::Make(test::TheStream()));
  EXPECT_THAT(state.Begin(0, 1e-3, 0.9, 0.95, test::TheStream()),
              test::StatusIs(absl::StatusCode::kInvalidArgument, "step=0"));
}

TEST(StepState, WorksOnMeta) {
  StepState state = test::Value(StepState::Make(test::MetaStream()));
  EISBACH_EXPECT_OK(state.Begin(1, 1e-3, 0.9, 0.95, test::MetaStream()));
}

}  // namespace
}  // namespace eisbach::optim::step_state_test
