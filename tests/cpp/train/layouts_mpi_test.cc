// Layouts between processes train like one rank. Each is a test of its own,
// whose name begins with the ranks that it needs: train/tests.cmake starts it
// on as many.

#include <gtest/gtest.h>

#include "support/mpi_world.h"
#include "support/recipes.h"
#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::layouts_mpi_test {
namespace {

using test::Recipe;
using test::Trained;
using test::Training;

// An emulation takes a second where a GPU takes a millisecond.
void MakeSmall(EngineConfig& config, const test::Layout& layout) {
  config.model.layers = std::max(3, layout.pipeline);
  const int micro_batches = layout.pipeline == 1 ? 2 : 3;
  config.global_batch = config.micro_batch * layout.data * micro_batches;
}

class LayoutsMpiTest : public testing::TestWithParam<Training> {};

TEST_P(LayoutsMpiTest, TrainLikeOneRank) {
  comm::World& world = TestWorld();
  ASSERT_EQ(world.size(), GetParam().layout.ranks());
  // A GPU captures the third step. The fourth has another learning rate, which
  // the fifth shows.
  const int steps = 5;
  EngineConfig config = GetParam().recipe.Config();
  config.micro_batch = test::LargerMicroBatch(GetParam().layout);
  config.update.schedule.warmup_steps = 2 * steps;
  if (world.device().type() == DeviceType::kCuda) {
    MakeSmall(config, GetParam().layout);
  }
  Trained got;
  EISBACH_ASSERT_OK(test::WithEngine(
      world, GetParam().layout, config, [&](Engine& engine) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(got, test::TrainAndGather(engine, steps));
        return absl::OkStatus();
      }));
  config.ulysses_group = 0;  // of one rank there is none
  Trained want = test::Value(test::TrainOneRank(config, steps));
  if (world.rank() != 0) want = {.curve = std::move(want.curve)};
  const test::Tolerances& tolerance =
      test::ToleranceOf(GetParam().recipe.compute);
  test::ExpectCloseCurves(got.curve, want.curve, tolerance.curve, "curve");
  EXPECT_EQ(got.gradients.empty(), world.rank() != 0);
  EXPECT_EQ(
      test::DescribeApart(got.gradients, want.gradients, tolerance, want.exact),
      "");
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
  // Ranks share a key/value head, and some share two.
  for (const auto& [layout, kv_heads] :
       {std::pair<test::Layout, int>{{1, 2, 1}, 1},
        {{2, 2, 1}, 3},
        {{1, 4, 1}, 3}}) {
    trainings.push_back(
        {{"llama", "gpipe", "sgd", DType::kF32, false, kv_heads}, layout});
  }
  // Norms of heads that ranks have alone, and of those that they share.
  trainings.push_back({{"qwen3", "1f1b", "adamw"}, {2, 2, 1}});
  trainings.push_back(
      {{"qwen3", "gpipe", "sgd", DType::kF32, false, 3}, {1, 4, 1}});
  Recipe whole{"gpt", "1f1b", "adamw"};
  whole.sequence = false;
  trainings.push_back({whole, {1, 2, 1}});
  for (const nn::Recompute recompute :
       {nn::Recompute::kSelective, nn::Recompute::kBlock}) {
    Recipe divided{"gpt", "1f1b", "sgd"};
    divided.sequence = true;
    divided.recompute = recompute;
    trainings.push_back({divided, {1, 2, 1}});
    trainings.push_back({divided, {2, 2, 2}});
  }
  for (const int zero : {1, 2, 3}) {
    const auto add = [&](Recipe recipe, const test::Layout& layout) {
      recipe.zero = zero;
      trainings.push_back({std::move(recipe), layout});
    };
    add({"gpt", "1f1b", "adamw"}, {2, 1, 1});
    add({"gpt", "1f1b", "adamw", DType::kBF16}, {2, 1, 2});
    add({"llama", "gpipe", "sgd", DType::kF32, false, 3}, {2, 2, 1});
    add({"gpt", "1f1b", "adamw", DType::kF32, /*groups=*/true}, {2, 2, 2});
  }
  for (const auto method :
       {parallel::ContextMethod::kRing, parallel::ContextMethod::kUlysses}) {
    Recipe recipe{"llama", "1f1b", "adamw"};
    recipe.method = method;
    trainings.push_back({recipe, test::WithContext(2)});
    trainings.push_back({recipe, test::WithContext(4)});
    trainings.push_back({recipe, test::WithContext(2, {2, 2, 1})});
  }
  Recipe both{"llama", "1f1b", "adamw"};
  both.method = parallel::ContextMethod::kUlyssesRing;
  both.ulysses_group = 2;
  trainings.push_back({both, test::WithContext(4)});
  trainings.push_back({both, test::WithContext(4, {1, 2, 1})});
  return trainings;
}

INSTANTIATE_TEST_SUITE_P(All, LayoutsMpiTest, testing::ValuesIn(Trainings()),
                         [](const auto& info) {
                           return info.param.ToString();
                         });

}  // namespace
}  // namespace eisbach::train::layouts_mpi_test
