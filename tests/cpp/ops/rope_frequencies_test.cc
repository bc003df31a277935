#include "ops/rope_frequencies.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/status_testing.h"

namespace eisbach::ops::rope_frequencies_test {
namespace {

using test::StatusIs;

// Frequencies by transformers 5.24 (modeling_rope_utils), in f32 there.
void ExpectFrequencies(const RopeOptions& options,
                       const std::vector<double>& expected, double amplitude,
                       int64_t context = 0) {
  EISBACH_EXPECT_OK(CheckRope(options));
  const auto dim = static_cast<int64_t>(2 * expected.size());
  const std::vector<double> found = RopeFrequencies(options, dim, context);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i] / expected[i], 1, 3e-7) << i;
  }
  EXPECT_NEAR(RopeAmplitude(options), amplitude, 1e-12);
}

TEST(RopeFrequenciesTest, LinearIsTransformers) {
  RopeOptions options = PlainRope(1e4);
  options.scaling = RopeScaling::kLinear;
  options.factor = 4;
  ExpectFrequencies(options, {0.25, 0.025, 0.0025, 0.00025}, 1);
}

TEST(RopeFrequenciesTest, Llama3IsTransformers) {
  RopeOptions options = PlainRope(5e5);
  options.scaling = RopeScaling::kLlama3;
  options.factor = 8;
  options.original_context = 8192;
  options.low_frequency = 1;
  options.high_frequency = 4;
  ExpectFrequencies(
      options,
      {1, 0.193922758, 0.0376060307, 0.00729266508, 0.000524846022,
       3.42810235e-05, 6.64786967e-06, 1.28917316e-06},
      1);
}

TEST(RopeFrequenciesTest, YarnIsTransformers) {
  RopeOptions options = PlainRope(1e4);
  options.scaling = RopeScaling::kYarn;
  options.factor = 4;
  options.original_context = 1024;
  options.beta_slow = 1;
  options.beta_fast = 32;
  ExpectFrequencies(options,
                    {1, 0.316227764, 0.0812500045, 0.0197642371, 0.00437500002,
                     0.000790569466, 0.000250000012, 7.90569466e-05},
                    1.138629436111989);
  options = PlainRope(1e6);
  options.scaling = RopeScaling::kYarn;
  options.factor = 2;
  options.original_context = 64;
  options.beta_slow = 2;
  options.beta_fast = 16;
  options.attention_factor = 1.5;
  ExpectFrequencies(
      options,
      {1, 0.0889139697, 0.0158113893, 0.00281170662, 0.000500000024,
       8.89139701e-05, 1.58113871e-05, 2.81170674e-06},
      1.5);
}

// Each pair by its number: by one list inside the original context, by the
// other past it.
TEST(RopeFrequenciesTest, LongRopeIsTransformers) {
  RopeOptions options = PlainRope(1e4);
  options.scaling = RopeScaling::kLongRope;
  options.factor = 4;
  options.original_context = 64;
  options.short_factors = {1, 1.25, 2, 4};
  options.long_factors = {1, 2, 10, 40};
  const double amplitude = std::sqrt(1 + std::log(4.0) / std::log(64.0));
  ExpectFrequencies(options, {1, 0.08, 0.005, 0.00025}, amplitude, 64);
  ExpectFrequencies(options, {1, 0.05, 0.001, 0.000025}, amplitude, 65);
  options.attention_factor = 1.5;
  ExpectFrequencies(options, {1, 0.08, 0.005, 0.00025}, 1.5, 1);
  // Of a part of a head, its own pairs.
  options.fraction = 0.5;
  EXPECT_EQ(RopeFrequencies(options, 16, 64),
            (std::vector<double>{1, 0.08, 0.005, 0.00025}));
}

TEST(RopeFrequenciesTest, NamesTheKeyThatDoesNotFit) {
  const auto bad = absl::StatusCode::kInvalidArgument;
  RopeOptions options = PlainRope(0);
  EXPECT_THAT(CheckRope(options), StatusIs(bad, "model.rope_theta=0"));
  options = PlainRope(1e4);
  options.scaling = RopeScaling::kLlama3;
  EXPECT_THAT(CheckRope(options), StatusIs(bad, "model.rope_factor=0"));
  options.factor = 2;
  EXPECT_THAT(CheckRope(options),
              StatusIs(bad, "model.rope_original_context=0"));
  options.original_context = 8;
  EXPECT_THAT(CheckRope(options), StatusIs(bad, "model.rope_low_frequency=0"));
  options.low_frequency = 4;
  options.high_frequency = 4;
  EXPECT_THAT(CheckRope(options),
              StatusIs(bad,
                       "model.rope_high_frequency=4 must be above "
                       "low_frequency=4; nearest that works: 5"));
  options.scaling = RopeScaling::kYarn;
  options.beta_slow = 1;
  EXPECT_THAT(CheckRope(options), StatusIs(bad, "model.rope_beta_fast=0"));
  options.beta_fast = 2;
  options.attention_factor = -1;
  EXPECT_THAT(CheckRope(options),
              StatusIs(bad, "model.rope_attention_factor=-1"));
  options = PlainRope(1e4);
  options.fraction = 0;
  EXPECT_THAT(CheckRope(options), StatusIs(bad, "model.rope_fraction=0"));
  options.fraction = 0.3;
  EXPECT_THAT(CheckRope(options, 10),
              StatusIs(bad, "rotates 3 of head_dim=10"));
  options = PlainRope(1e4);
  options.scaling = RopeScaling::kLongRope;
  options.factor = 2;
  options.original_context = 8;
  options.short_factors = {1, 0};
  EXPECT_THAT(CheckRope(options), StatusIs(bad, "model.rope_short_factors=0"));
  options.short_factors = {1, 1};
  EXPECT_THAT(CheckRope(options, 4),
              StatusIs(bad, "model.rope_long_factors has 0 values for 2"));
}

}  // namespace
}  // namespace eisbach::ops::rope_frequencies_test
