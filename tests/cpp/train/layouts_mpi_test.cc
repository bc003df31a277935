// Layouts between processes train like one rank. Each is a test of its own,
// whose name begins with the ranks that it needs: train/tests.cmake starts it
// on as many.

#include <gtest/gtest.h>

#include "support/mpi_world.h"
#include "support/recipes.h"
#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train {
namespace {

using test::Recipe;
using test::Trained;
using test::Training;

class LayoutsMpiTest : public testing::TestWithParam<Training> {};

TEST_P(LayoutsMpiTest, TrainLikeOneRank) {
  comm::World& world = TestWorld();
  // An emulation takes a second where a GPU takes a millisecond.
  const int steps = world.device().type() == DeviceType::kCuda ? 2 : 5;
  ASSERT_EQ(world.size(), GetParam().layout.ranks());
  EngineConfig config = GetParam().recipe.Config();
  config.micro_batch = test::LargerMicroBatch(GetParam().layout);
  Trained got;
  EISBACH_ASSERT_OK(test::WithEngine(
      world, GetParam().layout, config, [&](Engine& engine) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(got, test::TrainAndGather(engine, steps));
        return absl::OkStatus();
      }));
  Trained want = test::Value(test::TrainAndGather({}, config, steps));
  if (world.rank() != 0) want.gradients.clear();
  const test::Tolerance& tolerance =
      test::ToleranceOf(GetParam().recipe.compute);
  test::ExpectCloseCurves(got.curve, want.curve, tolerance.curve, "curve");
  EXPECT_EQ(got.gradients.empty(), world.rank() != 0);
  EXPECT_EQ(test::DescribeApart(got.gradients, want.gradients, tolerance), "");
}

std::vector<Training> Trainings() {
  std::vector<Training> trainings;
  for (int ranks : {2, 3, 4, 6, 8}) {
    for (const test::Layout& layout : test::Factorings(ranks)) {
      trainings.push_back({{"gpt", "1f1b", "adamw"}, layout});
      trainings.push_back({{"llama", "gpipe", "sgd"}, layout});
    }
  }
  trainings.push_back({{"gpt", "1f1b", "adamw", DType::kF16}, {1, 2, 1}});
  trainings.push_back({{"gpt", "1f1b", "adamw", DType::kF16}, {2, 1, 2}});
  trainings.push_back(
      {{"gpt", "1f1b", "adamw", DType::kF32, /*groups=*/true}, {1, 1, 2}});
  return trainings;
}

INSTANTIATE_TEST_SUITE_P(All, LayoutsMpiTest, testing::ValuesIn(Trainings()),
                         [](const auto& info) {
                           return info.param.ToString();
                         });

}  // namespace
}  // namespace eisbach::train
