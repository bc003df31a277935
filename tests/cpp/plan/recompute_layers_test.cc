#include "plan/recompute_layers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>

#include "plan/estimate.h"
#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::plan::recompute_layers_test {
namespace {

using test::Layout;
using ::testing::HasSubstr;

// Of a family with norms behind attention and MLP, which blocks alone compute
// again.
train::EngineConfig ConfigOf(nn::Recompute recompute) {
  train::EngineConfig config = test::ToyConfig("gemma2");
  config.model.layers = 6;
  config.model.context = 64;
  config.global_batch = 8;
  config.micro_batch = 4;
  config.recompute = recompute;
  return config;
}

// The most that any rank takes with so many layers recomputed.
int64_t Most(train::EngineConfig config, const parallel::Mesh& mesh,
             int64_t layers, bool copies) {
  config.recompute_layers = layers;
  int64_t most = 0;
  for (int rank = 0; rank < mesh.world_size(); ++rank) {
    const RankMemory memory = test::Value(EstimateMemory(config, mesh, rank));
    most = std::max(most, memory.peak() + (copies ? memory.saving : 0));
  }
  return most;
}

TEST(RecomputeLayersTest, AreTheFewestThatFit) {
  for (const Layout& layout : {Layout{}, Layout{1, 1, 2}, Layout{1, 2, 1}}) {
    const parallel::Mesh mesh = test::Value(test::MeshOf(layout));
    const int64_t held = 6 / layout.pipeline;
    for (const bool copies : {false, true}) {
      const train::EngineConfig config = ConfigOf(nn::Recompute::kBlock);
      int64_t least = std::numeric_limits<int64_t>::max();
      for (int64_t layers = 0; layers <= held; ++layers) {
        const int64_t bytes = Most(config, mesh, layers, copies);
        // To recompute the last block as well may take more than without it.
        if (bytes < least) {
          EXPECT_EQ(
              test::Value(FewestRecomputed(config, mesh, {bytes, copies})),
              layers)
              << layout.ToString();
        }
        least = std::min(least, bytes);
      }
      EXPECT_LT(least, Most(config, mesh, 0, copies));
      EXPECT_EQ(
          FewestRecomputed(config, mesh, {least - 1, copies}).status().code(),
          absl::StatusCode::kInvalidArgument);
    }
  }
}

TEST(RecomputeLayersTest, TheMessageOffersWhatFits) {
  const parallel::Mesh mesh = test::Value(test::MeshOf({}));
  const train::EngineConfig selective = ConfigOf(nn::Recompute::kSelective);
  train::EngineConfig block = ConfigOf(nn::Recompute::kBlock);
  const auto message = [&](const train::EngineConfig& config, int64_t bytes) {
    return std::string(
        FewestRecomputed(config, mesh, {bytes}).status().message());
  };
  const auto least = [&](const train::EngineConfig& config) {
    return std::min(Most(config, mesh, 5, false), Most(config, mesh, 6, false));
  };
  ASSERT_LT(least(block), least(selective));
  EXPECT_THAT(message(selective, least(selective) - 1),
              HasSubstr("nearest that works: train.recompute=block, or "));
  train::EngineConfig half = block;
  half.micro_batch = 2;
  ASSERT_LT(least(half), least(block));
  EXPECT_THAT(message(block, least(half)),
              HasSubstr("nearest that works: train.micro_batch=2, or "
                        "train.recompute_gib="));
  EXPECT_THAT(message(block, 1), HasSubstr("a rank has 0.001 GiB"));
}

TEST(RecomputeLayersTest, NothingIsNotRecomputedInPart) {
  const parallel::Mesh mesh = test::Value(test::MeshOf({}));
  EXPECT_THAT(std::string(FewestRecomputed(ConfigOf(nn::Recompute::kNothing),
                                           mesh, {1 << 30})
                              .status()
                              .message()),
              HasSubstr("train.recompute=none"));
}

}  // namespace
}  // namespace eisbach::plan::recompute_layers_test
