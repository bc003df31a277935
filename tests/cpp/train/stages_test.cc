#include "train/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/status_testing.h"
#include "support/toy.h"
#include "support/trained.h"

namespace eisbach::train::stages_test {
namespace {

using ::testing::ElementsAre;

TEST(StagesTest, ListedLayersAreThoseOfThePartsOfTheModel) {
  models::ModelConfig model = test::ToyConfig("gpt").model;
  model.layers = 8;
  const std::vector<int> counts = {1, 4, 2, 1};
  const auto layers = [&](parallel::Placement placement, int stage) {
    const parallel::ScheduleShape shape{2, 2, 4, placement};
    const auto parts = test::Value(DivideLayers(model, counts, shape));
    std::vector<int64_t> first;
    for (const models::StageLayers& chunk :
         ChunksOfStage(parts, shape, stage)) {
      first.push_back(chunk.first_layer);
      first.push_back(chunk.end_layer);
    }
    return first;
  };
  EXPECT_THAT(layers(parallel::Placement::kRound, 0), ElementsAre(0, 1, 5, 7));
  EXPECT_THAT(layers(parallel::Placement::kRound, 1), ElementsAre(1, 5, 7, 8));
  EXPECT_THAT(layers(parallel::Placement::kV, 0), ElementsAre(0, 1, 7, 8));
  EXPECT_THAT(layers(parallel::Placement::kV, 1), ElementsAre(1, 5, 5, 7));
}

TEST(StagesTest, UnevenChunksTrainLikeOneRank) {
  EngineConfig config = test::ToyConfig("llama");
  const int layers = static_cast<int>(config.model.layers);
  constexpr int kSteps = 3;
  const test::Trained want =
      test::Value(test::TrainAndGather({}, config, kSteps));
  config.pipeline_schedule = "zb_v";
  config.layers_per_stage = {1, 2, layers - 4, 1};
  test::ExpectTrainsLike(
      test::Value(test::TrainAndGather({1, 1, 2}, config, kSteps)), want,
      test::kFloat32Tolerance, "[1, 2, .., 1]");
}

}  // namespace
}  // namespace eisbach::train::stages_test
