#include "models/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "support/status_testing.h"

namespace eisbach::models::sampler_test {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

SamplingOptions Options(double temperature, uint64_t seed) {
  SamplingOptions options{.temperature = temperature};
  options.seed = seed;
  return options;
}

// The tokens that 2000 draws give.
std::set<int32_t> Drawn(const std::vector<float>& logits,
                        const SamplingOptions& options) {
  std::set<int32_t> drawn;
  for (int64_t index = 0; index < 2000; ++index) {
    drawn.insert(SampleToken(logits, options, {0, index}).value());
  }
  return drawn;
}

TEST(SampleTokenTest, ATemperatureOfZeroTakesTheLikeliest) {
  const std::vector<float> logits = {0.5f, 2.0f, -1.0f, 2.0f};
  for (int64_t index = 0; index < 20; ++index) {
    EXPECT_EQ(SampleToken(logits, Options(0, 7), {0, index}).value(), 1);
  }
}

TEST(SampleTokenTest, FrequenciesAreThoseOfTheSoftmax) {
  const std::vector<float> logits = {1.0f, 0.0f, 2.0f, -1.0f};
  const double temperature = 0.8;
  std::vector<double> expected;
  double sum = 0;
  for (float logit : logits) {
    expected.push_back(std::exp(logit / temperature));
    sum += expected.back();
  }
  std::vector<int> counts(logits.size());
  constexpr int kDraws = 20000;
  for (int64_t index = 0; index < kDraws; ++index) {
    ++counts[SampleToken(logits, Options(temperature, 11), {0, index}).value()];
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    const double p = expected[i] / sum;
    const double deviation = std::sqrt(p * (1 - p) / kDraws);
    EXPECT_NEAR(counts[i] / double{kDraws}, p, 4 * deviation) << "token " << i;
  }
}

TEST(SampleTokenTest, TopKLeavesTheOthersOut) {
  const std::vector<float> logits = {1.0f, 3.0f, 2.9f, 2.8f};
  SamplingOptions options = Options(1, 3);
  options.top_k = 2;
  EXPECT_THAT(Drawn(logits, options), UnorderedElementsAre(1, 2));
  options.top_k = 1;
  EXPECT_THAT(Drawn(logits, options), UnorderedElementsAre(1));
  options.top_k = 99;
  EXPECT_THAT(Drawn(logits, options), UnorderedElementsAre(0, 1, 2, 3));
}

// Probabilities 0.5, 0.25, 0.15, 0.1, in another order.
std::vector<float> Uneven() {
  std::vector<float> logits;
  for (double p : {0.1, 0.5, 0.15, 0.25}) {
    logits.push_back(static_cast<float>(std::log(p)));
  }
  return logits;
}

TEST(SampleTokenTest, TopPKeepsTheFewestThatReachIt) {
  SamplingOptions options = Options(1, 3);
  for (const auto& [p, kept] :
       std::map<double, std::set<int32_t>>{{0.01, {1}},
                                           {0.49, {1}},
                                           {0.51, {1, 3}},
                                           {0.8, {1, 2, 3}},
                                           {0.95, {0, 1, 2, 3}},
                                           {1.0, {0, 1, 2, 3}}}) {
    options.top_p = p;
    EXPECT_EQ(Drawn(Uneven(), options), kept) << p;
  }
  // Of what top_k leaves: two thirds and a third.
  options.top_k = 2;
  options.top_p = 0.6;
  EXPECT_EQ(Drawn(Uneven(), options), std::set<int32_t>{1});
}

// More than are sorted at once.
TEST(SampleTokenTest, TopPOfManyTokens) {
  std::vector<float> logits(3000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = i % 2 == 0 ? 1 : -9;
  SamplingOptions options = Options(1, 3);
  options.top_p = 0.5;
  const std::set<int32_t> drawn = Drawn(logits, options);
  EXPECT_GT(drawn.size(), 500u);
  for (int32_t id : drawn) {
    EXPECT_EQ(id % 2, 0);
    // Of equal ones the lower ids, and half of them.
    EXPECT_LT(id, 1510);
  }
}

TEST(SampleTokenTest, MinPIsRelativeToTheLikeliest) {
  SamplingOptions options = Options(1, 3);
  for (const auto& [p, kept] :
       std::map<double, std::set<int32_t>>{{0.19, {0, 1, 2, 3}},
                                           {0.29, {1, 2, 3}},
                                           {0.45, {1, 3}},
                                           {1.0, {1}}}) {
    options.min_p = p;
    EXPECT_EQ(Drawn(Uneven(), options), kept) << p;
  }
  // A higher temperature makes them more alike before min_p looks.
  options.temperature = 4;
  options.min_p = 0.45;
  EXPECT_EQ(Drawn(Uneven(), options), (std::set<int32_t>{0, 1, 2, 3}));
}

TEST(SampleTokenTest, DependsOnSeedSequenceAndIndexAlone) {
  const std::vector<float> logits(64, 0.0f);
  const auto draw = [&](uint64_t seed, int64_t sequence, int64_t index) {
    return SampleToken(logits, Options(1, seed), {sequence, index}).value();
  };
  int same_index = 0, same_seed = 0, same_both = 0;
  for (int64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(draw(1, 0, i), draw(1, 0, i));
    same_index += draw(1, 0, i) == draw(2, 0, i);
    same_seed += draw(1, 0, i) == draw(1, 0, i + 1);
    same_both += draw(1, 0, i) == draw(1, 1, i);
  }
  EXPECT_LT(same_index, 10);
  EXPECT_LT(same_seed, 10);
  EXPECT_LT(same_both, 10);
}

TEST(PenaliseTest, MakesEachTokenThatOccursLessLikelyOnce) {
  std::vector<float> logits = {2.0f, -2.0f, 3.0f, 0.0f};
  Penalise({0, 1, 0, 3, -1, 4}, 2.0, absl::MakeSpan(logits));
  EXPECT_THAT(logits, ElementsAre(1.0f, -4.0f, 3.0f, 0.0f));
  Penalise({2}, 0.5, absl::MakeSpan(logits));
  EXPECT_THAT(logits, ElementsAre(1.0f, -4.0f, 6.0f, 0.0f));
}

TEST(SampleTokenTest, BadLogitsAndOptionsAreErrors) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const SamplingOptions good = Options(1, 1);
  EXPECT_THAT(SampleToken({0.0f, nan}, good, {}),
              StatusIs(absl::StatusCode::kDataLoss, "token 1"));
  EXPECT_THAT(SampleToken({nan, 0.0f}, Options(0, 1), {}),
              StatusIs(absl::StatusCode::kDataLoss, "token 0"));
  EXPECT_THAT(SampleToken({0.0f, inf}, good, {}),
              StatusIs(absl::StatusCode::kDataLoss, "token 1"));
  EXPECT_THAT(SampleToken({}, good, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, "logit"));
  const auto refused = [&](const char* text, auto change) {
    SamplingOptions options = good;
    change(options);
    EXPECT_THAT(SampleToken({0.0f, 1.0f}, options, {}),
                StatusIs(absl::StatusCode::kInvalidArgument, text));
  };
  refused("temperature=-1", [](SamplingOptions& o) { o.temperature = -1; });
  refused("temperature=nan", [&](SamplingOptions& o) { o.temperature = nan; });
  refused("top_k=-2", [](SamplingOptions& o) { o.top_k = -2; });
  refused("top_p=0", [](SamplingOptions& o) { o.top_p = 0; });
  refused("top_p=1.5", [](SamplingOptions& o) { o.top_p = 1.5; });
  refused("min_p=-1", [](SamplingOptions& o) { o.min_p = -1; });
  refused("min_p=2", [](SamplingOptions& o) { o.min_p = 2; });
  refused("repetition_penalty=0",
          [](SamplingOptions& o) { o.repetition_penalty = 0; });
}

}  // namespace
}  // namespace eisbach::models::sampler_test
