#include "data/blend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "support/status_testing.h"

namespace eisbach::data::blend_test {
namespace {

using test::StatusIs;

TEST(BlendTest, IndexCountsEarlierSamplesOfTheSource) {
  for (const std::vector<double>& weights :
       {std::vector<double>{1}, {1, 1}, {0.7, 0.2, 0.1}, {1, 1000, 3, 3, 50}}) {
    EISBACH_ASSERT_OK_AND_ASSIGN(Blend blend, Blend::Make(weights));
    std::vector<int64_t> seen(weights.size(), 0);
    for (int64_t g = 0; g < 20000; ++g) {
      const Blend::Choice choice = blend(g);
      ASSERT_EQ(choice.index, seen[choice.source]++) << g;
    }
  }
}

TEST(BlendTest, EveryStretchHoldsTheProportions) {
  const std::vector<double> weights = {5, 3, 1.5, 0.5};
  EISBACH_ASSERT_OK_AND_ASSIGN(Blend blend, Blend::Make(weights));
  for (int64_t begin : {int64_t{0}, int64_t{12345}, int64_t{1} << 40}) {
    for (int64_t length : {20, 100, 1000, 10000}) {
      std::vector<int64_t> count(weights.size(), 0);
      for (int64_t g = begin; g < begin + length; ++g) ++count[blend(g).source];
      for (size_t i = 0; i < weights.size(); ++i) {
        EXPECT_NEAR(static_cast<double>(count[i]), weights[i] / 10 * length, 6)
            << "source " << i << " in " << length << " from " << begin;
      }
    }
  }
}

TEST(BlendTest, FarSamplesAreConsistent) {
  const std::vector<double> weights = {2, 1, 4};
  EISBACH_ASSERT_OK_AND_ASSIGN(Blend blend, Blend::Make(weights));
  const int64_t far = int64_t{1} << 45;
  std::vector<int64_t> next(3, -1);
  for (int64_t g = far; g < far + 1000; ++g) {
    const Blend::Choice choice = blend(g);
    const double share = weights[choice.source] / 7 * static_cast<double>(g);
    EXPECT_NEAR(static_cast<double>(choice.index), share, share * 1e-8);
    if (next[choice.source] >= 0) {
      EXPECT_EQ(choice.index, next[choice.source]);
    }
    next[choice.source] = choice.index + 1;
  }
}

TEST(BlendTest, OnlyRatiosMatter) {
  EISBACH_ASSERT_OK_AND_ASSIGN(Blend a, Blend::Make({3.0, 1.0}));
  EISBACH_ASSERT_OK_AND_ASSIGN(Blend b, Blend::Make({0.75, 0.25}));
  for (int64_t g = 0; g < 1000; ++g) EXPECT_EQ(a(g).source, b(g).source);
}

TEST(BlendTest, WeightsAreChecked) {
  using Weights = std::vector<double>;
  EXPECT_THAT(Blend::Make(Weights{}),
              StatusIs(absl::StatusCode::kInvalidArgument, "no source"));
  EXPECT_THAT(Blend::Make(Weights{1, 0}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "weight 0 of source 1 is not a positive number"));
  EXPECT_THAT(Blend::Make(Weights{-1}),
              StatusIs(absl::StatusCode::kInvalidArgument, "weight -1"));
  EXPECT_FALSE(
      Blend::Make(Weights{std::numeric_limits<double>::quiet_NaN()}).ok());
  EXPECT_FALSE(
      Blend::Make(Weights{std::numeric_limits<double>::infinity()}).ok());
  EXPECT_THAT(Blend::Make(Weights{1, 1e-12, 1}),
              StatusIs(absl::StatusCode::kInvalidArgument, "too little"));
  EXPECT_FALSE(Blend::Make(Weights{1, 1e-12}).ok());
}

}  // namespace
}  // namespace eisbach::data::blend_test
