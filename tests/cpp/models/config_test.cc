#include "models/config.h"

#include <gtest/gtest.h>

#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::models {
namespace {

using test::StatusIs;

TEST(ModelConfigTest, ToysAreValid) {
  for (const std::string& family : FamilyNames()) {
    EISBACH_EXPECT_OK(Validate(test::ToyModel(family)));
  }
}

TEST(ModelConfigTest, ErrorsNameKeyValueAndNearest) {
  const auto bad = absl::StatusCode::kInvalidArgument;
  ModelConfig config = test::ToyModel("gpt");
  config.layers = 0;
  EXPECT_THAT(Validate(config), StatusIs(bad, "model.layers=0"));
  EXPECT_EQ(test::Value(DefaultHeadDim(96, 24)), 4);
  EXPECT_THAT(DefaultHeadDim(96, 7).status(),
              StatusIs(bad,
                       "heads=7 does not divide hidden=96 (model.heads); "
                       "nearest that works: 6"));
  config = test::ToyModel("llama");
  config.kv_heads = 9;
  EXPECT_THAT(Validate(config), StatusIs(bad, "nearest that works: 8"));
  config = test::ToyModel("llama");
  config.head_dim = 3;
  EXPECT_THAT(Validate(config), StatusIs(bad, "is odd"));
  config = test::ToyModel("llama");
  config.architecture.rope.theta = 0;
  EXPECT_THAT(Validate(config), StatusIs(bad, "model.rope_theta"));
  config = test::ToyModel("gpt");
  config.architecture.no_rope_every = 4;
  EXPECT_THAT(Validate(config), StatusIs(bad, "model.no_rope_every"));
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

TEST(ModelConfigTest, FlopsAreSixAWeightAndAttention) {
  ModelConfig config = test::ToyModel("gpt");
  const double weights = 8 * (4 * 96 * 96 + 2 * 96 * 192) + 101 * 96;
  EXPECT_DOUBLE_EQ(TrainingFlopsPerToken(config),
                   6 * weights + 12.0 * 8 * 96 * 8);
}

}  // namespace
}  // namespace eisbach::models
