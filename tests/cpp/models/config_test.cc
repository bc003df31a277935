#include "models/config.h"

#include <gtest/gtest.h>

#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::models {
namespace {

using test::StatusIs;

TEST(ModelConfigTest, ToysAreValid) {
  EISBACH_EXPECT_OK(Validate(test::ToyModel("gpt")));
  EISBACH_EXPECT_OK(Validate(test::ToyModel("llama")));
}

TEST(ModelConfigTest, ErrorsNameKeyValueAndNearest) {
  const auto bad = absl::StatusCode::kInvalidArgument;
  ModelConfig config = test::ToyModel("gpt");
  config.layers = 0;
  EXPECT_THAT(Validate(config), StatusIs(bad, "model.layers=0"));
  config = test::ToyModel("gpt");
  config.heads = 7;
  EXPECT_THAT(Validate(config),
              StatusIs(bad,
                       "heads=7 does not divide hidden=96 (model.heads); "
                       "nearest that works: 6"));
  config = test::ToyModel("llama");
  config.kv_heads = 9;
  EXPECT_THAT(Validate(config), StatusIs(bad, "nearest that works: 8"));
  config = test::ToyModel("llama");
  config.hidden = 72;  // 24 heads of 3
  EXPECT_THAT(Validate(config), StatusIs(bad, "is odd"));
  config = test::ToyModel("gpt");
  config.dropout = 1;
  EXPECT_THAT(Validate(config), StatusIs(bad, "model.dropout"));
  config.dropout = 0.99999999;  // what is kept is less than one of 2^24
  EXPECT_THAT(Validate(config), StatusIs(bad, "nearest that works: 0.9999999"));
  config.dropout = 0.9999999;
  EISBACH_EXPECT_OK(Validate(config));
  config.norm_eps = 1e-300;
  EXPECT_THAT(Validate(config), StatusIs(bad, "f32 holds (model.norm_eps)"));
}

// GPT-2's smallest and Llama 2's published sizes.
TEST(ModelConfigTest, CountsTheParametersOfKnownModels) {
  ModelConfig gpt2 = {"gpt", 12,    768, 12,   12,    3072,
                      1024,  50257, 0,   true, 1e-5f, 10000};
  EXPECT_EQ(ParameterCount(gpt2), 124439808);
  ModelConfig llama = {"llama", 32,    4096, 32,    32,    11008,
                       4096,    32000, 0,    false, 1e-5f, 10000};
  EXPECT_EQ(ParameterCount(llama), 6738415616);
}

TEST(ModelConfigTest, FlopsAreSixAWeightAndAttention) {
  ModelConfig config = test::ToyModel("gpt");
  const double weights = 8 * (4 * 96 * 96 + 2 * 96 * 192) + 101 * 96;
  EXPECT_DOUBLE_EQ(TrainingFlopsPerToken(config),
                   6 * weights + 12.0 * 8 * 96 * 8);
}

}  // namespace
}  // namespace eisbach::models
