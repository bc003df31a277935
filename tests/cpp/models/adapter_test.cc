#include "models/adapter.h"

#include <gtest/gtest.h>

#include "models/config.h"
#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::models::adapter_test {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;

ModelConfig Adapted(const std::string& family) {
  ModelConfig config = test::ToyModel(family);
  config.adapter = {.rank = 4, .alpha = 8};
  return config;
}

TEST(AdapterTest, TargetsAreTheLayersOfTheFamilysFiles) {
  EXPECT_THAT(AdapterTargets(test::Value(FindFamily("gpt"))),
              ElementsAre("qkv", "output", "up", "down"));
  EXPECT_THAT(AdapterTargets(test::Value(FindFamily("phi3"))),
              ElementsAre("qkv", "output", "gate_up", "down"));
  EXPECT_THAT(AdapterTargets(test::Value(FindFamily("apertus"))),
              ElementsAre("query", "key", "value", "output", "up", "down"));
  EXPECT_THAT(
      AdapterTargets(test::Value(FindFamily("qwen3"))),
      ElementsAre("query", "key", "value", "output", "gate", "up", "down"));
}

TEST(AdapterTest, ScaleFallsWithTheRankOrItsRoot) {
  EXPECT_EQ((Adapter{.rank = 16, .alpha = 32}).Scale(), 2);
  EXPECT_EQ((Adapter{.rank = 16, .alpha = 32, .rslora = true}).Scale(), 8);
}

TEST(AdapterTest, ErrorsNameKeyValueAndNearest) {
  const auto bad = absl::StatusCode::kInvalidArgument;
  const auto told = [&](const Adapter& adapter) {
    ModelConfig config = test::ToyModel("gpt");  // a tied one
    config.adapter = adapter;
    return Validate(config);
  };
  EISBACH_EXPECT_OK(told({.rank = 4, .alpha = 8}));
  EXPECT_THAT(told({.rank = -1}),
              StatusIs(bad, "adapter.rank=-1 is outside [0, 65536]; nearest"));
  EXPECT_THAT(told({.rank = 4}), StatusIs(bad, "adapter.alpha=0"));
  EXPECT_THAT(told({.rank = 4, .alpha = 8, .dropout = 1}),
              StatusIs(bad, "adapter.dropout=1"));
  EXPECT_THAT(told({.rank = 4, .alpha = 8, .targets = {"gate"}}),
              StatusIs(bad,
                       "gate is no projection of this model; there are "
                       "qkv, output, up, down"));
  EXPECT_THAT(told({.rank = 4, .alpha = 8, .targets = {"up", "up"}}),
              StatusIs(bad, "has up twice"));
  EXPECT_THAT(told({.rank = 4, .alpha = 8, .saved = {"head"}}),
              StatusIs(bad, "nearest that works: [embedding, head]"));
  EXPECT_THAT(told({.rank = 4, .alpha = 8, .saved = {"norm"}}),
              StatusIs(bad, "norm is no table"));
  EISBACH_EXPECT_OK(told({.rank = 4, .alpha = 8, .tokens = {0, 7, 100}}));
  EXPECT_THAT(told({.rank = 4, .alpha = 8, .tokens = {101}}),
              StatusIs(bad,
                       "adapter.tokens has 101, which is outside [0, "
                       "vocab=101) (model.vocab); nearest that works: 100"));
  EXPECT_THAT(told({.rank = 4, .alpha = 8, .tokens = {5, 5}}),
              StatusIs(bad, "adapter.tokens has 5 after 5"));
  EXPECT_THAT(told({.rank = 4,
                    .alpha = 8,
                    .saved = {"embedding", "head"},
                    .tokens = {5}}),
              StatusIs(bad, "adapter.tokens means nothing"));
  EXPECT_THAT(told({.tokens = {5}}),
              StatusIs(bad, "adapter.tokens means nothing"));
  // What is said of adapters that are not there would be ignored.
  EXPECT_THAT(told({.alpha = 8}), StatusIs(bad, "adapter.alpha means nothing"));
  EXPECT_THAT(told({.targets = {"up"}}),
              StatusIs(bad, "adapter.targets means nothing"));
}

// Of the base there is no weight gradient: two products where there are three.
TEST(AdapterTest, CountsWhatTrains) {
  ModelConfig config = Adapted("gpt");
  const int64_t layer = 4 * (96 + 3 * 96) + 4 * (96 + 96) + 2 * 4 * (96 + 192);
  EXPECT_EQ(AdapterWeightsOfLayer(config), layer);
  EXPECT_EQ(TrainedParameterCount(config), 8 * layer);
  EXPECT_EQ(ParameterCount(config), ParameterCount(test::ToyModel("gpt")));
  const double weights = 8 * (4 * 96 * 96 + 2 * 96 * 192) + 101 * 96;
  const double attention = 12.0 * 8 * 96 * 8;
  EXPECT_DOUBLE_EQ(TrainingFlopsPerToken(config),
                   4 * weights + 6.0 * 8 * layer + attention);
  config.adapter.targets = {"up"};
  EXPECT_EQ(AdapterWeightsOfLayer(config), 4 * (96 + 192));
  config.adapter.saved = {"embedding", "head"};
  EXPECT_EQ(TrainedParameterCount(config), 8 * 4 * (96 + 192) + 101 * 96);
  config.adapter.saved = {};
  config.adapter.tokens = {3, 100};
  EXPECT_EQ(TrainedParameterCount(config), 8 * 4 * (96 + 192) + 2 * 96);
  config.tie_embeddings = false;
  EXPECT_EQ(TrainedParameterCount(config), 8 * 4 * (96 + 192) + 2 * 2 * 96);
  config.adapter.saved = {"head"};
  EXPECT_EQ(TrainedParameterCount(config), 8 * 4 * (96 + 192) + (101 + 2) * 96);
}

}  // namespace
}  // namespace eisbach::models::adapter_test
