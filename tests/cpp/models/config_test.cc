#include "models/config.h"

#include <gtest/gtest.h>

#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::models::config_test {
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
  const auto window = [](int64_t window, int64_t from, int64_t full_every) {
    ModelConfig config = test::ToyModel("gpt");
    config.architecture.window = window;
    config.architecture.window_from = from;
    config.architecture.window_full_every = full_every;
    return Validate(config);
  };
  EISBACH_EXPECT_OK(window(3, 7, 0));
  EISBACH_EXPECT_OK(window(3, 0, 2));
  EXPECT_THAT(window(-1, 0, 0), StatusIs(bad, "model.window"));
  EXPECT_THAT(window(0, 1, 0), StatusIs(bad, "model.window_from"));
  EXPECT_THAT(window(3, -1, 0), StatusIs(bad, "model.window_from"));
  EXPECT_THAT(window(3, 8, 0), StatusIs(bad, "nearest that works: 7"));
  EXPECT_THAT(window(0, 0, 2), StatusIs(bad, "model.window_full_every"));
  EXPECT_THAT(window(3, 0, 1), StatusIs(bad, "nearest that works: 2"));
  config = test::ToyModel("llama");
  config.architecture.rope.fraction = 0.25;
  EXPECT_THAT(Validate(config), StatusIs(bad, "model.rope_fraction=0.25"));
  config = test::ToyModel("llama");
  config.architecture.window_rope_theta = 100;
  EXPECT_THAT(Validate(config), StatusIs(bad, "model.window_rope_theta"));
  config.architecture.window = 3;
  EISBACH_EXPECT_OK(Validate(config));
  config.architecture.window_rope_theta = -1;
  EXPECT_THAT(Validate(config), StatusIs(bad, "nearest that works: 0"));
  config = test::ToyModel("gpt");
  config.architecture.attention_scale = -1;
  EXPECT_THAT(Validate(config), StatusIs(bad, "model.attention_scale"));
  config = test::ToyModel("gpt");
  config.architecture.attention_cap = 1e9;
  EXPECT_THAT(Validate(config), StatusIs(bad, "nearest that works: 10000"));
  config = test::ToyModel("gpt");
  config.architecture.final_cap = NAN;
  EXPECT_THAT(Validate(config), StatusIs(bad, "model.final_cap"));
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
  // Six layers with a window of 3, two that see all eight tokens.
  config.architecture.window = 3;
  config.architecture.window_full_every = 4;
  EXPECT_DOUBLE_EQ(TrainingFlopsPerToken(config),
                   6 * weights + 12.0 * 96 * (6 * 3 + 2 * 8));
}

TEST(ArchitectureTest, LayersHaveTheWindowOrNot) {
  Architecture a = test::ToyModel("llama").architecture;
  a.window = 5;
  a.window_from = 2;
  a.window_full_every = 3;
  std::vector<int64_t> windows;
  for (int64_t layer = 0; layer < 7; ++layer) {
    windows.push_back(a.WindowOf(layer));
  }
  EXPECT_EQ(windows, std::vector<int64_t>({0, 0, 0, 5, 5, 0, 5}));
}

}  // namespace
}  // namespace eisbach::models::config_test
