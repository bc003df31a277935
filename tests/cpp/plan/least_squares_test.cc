#include "plan/least_squares.h"

#include <gtest/gtest.h>

namespace eisbach::plan::least_squares_test {
namespace {

TEST(LeastSquaresTest, CoefficientsOfWhatIsExactAreFound) {
  std::vector<Observation> observations;
  for (int i = 0; i < 20; ++i) {
    const double a = i * 1e9, b = (i % 3) * 1e6;
    // One part is many orders of magnitude above the other.
    observations.push_back({.parts = {1, a, b, 0},
                            .value = 2e-6 + 3e-12 * a + 5e-10 * b,
                            .weight = 1.0 / (1 + i)});
  }
  const std::vector<double> x = NonNegativeLeastSquares(observations);
  ASSERT_EQ(x.size(), 4u);
  EXPECT_NEAR(x[0], 2e-6, 1e-9);
  EXPECT_NEAR(x[1], 3e-12, 1e-15);
  EXPECT_NEAR(x[2], 5e-10, 1e-13);
  EXPECT_EQ(x[3], 0);  // nothing has it
}

TEST(LeastSquaresTest, NoneIsBelowZero) {
  // Without the bound it would be 3 - a.
  std::vector<Observation> observations;
  for (double a : {0.0, 1.0, 2.0}) {
    observations.push_back({.parts = {1, a}, .value = 3 - a});
  }
  const std::vector<double> x = NonNegativeLeastSquares(observations);
  EXPECT_DOUBLE_EQ(x[0], 2);  // the mean
  EXPECT_EQ(x[1], 0);
  for (Observation& o : observations) o.value = -1;
  EXPECT_EQ(NonNegativeLeastSquares(observations), std::vector<double>({0, 0}));
  EXPECT_TRUE(NonNegativeLeastSquares({}).empty());
}

TEST(LeastSquaresTest, WeightsCountAndEqualPartsAreNotToldApart) {
  const std::vector<double> heavy = NonNegativeLeastSquares(
      {{.parts = {1}, .value = 1, .weight = 10}, {.parts = {1}, .value = 3}});
  EXPECT_NEAR(heavy[0], 103.0 / 101, 1e-12);
  const std::vector<double> twins = NonNegativeLeastSquares(
      {{.parts = {1, 2}, .value = 4}, {.parts = {2, 4}, .value = 8}});
  EXPECT_NEAR(twins[0] + 2 * twins[1], 4, 1e-9);
}

TEST(LeastSquaresTest, WhatIsFarOffCountsLess) {
  std::vector<Observation> observations;
  for (int i = 1; i <= 20; ++i) {
    const double noise = i % 2 == 0 ? 1.01 : 0.99;
    observations.push_back({.parts = {1.0 * i}, .value = 2.0 * i * noise});
  }
  observations[18].value = 100;  // was interrupted
  EXPECT_GT(NonNegativeLeastSquares(observations)[0], 2.2);
  EXPECT_NEAR(RobustLeastSquares(observations)[0], 2, 0.02);
  EXPECT_TRUE(RobustLeastSquares({}).empty());
}

}  // namespace
}  // namespace eisbach::plan::least_squares_test
