#include "plan/layout_memory.h"

#include <gtest/gtest.h>

#include "cpp/plan/plan_testing.h"
#include "support/status_testing.h"

namespace eisbach::plan::layout_memory_test {
namespace {

TEST(LayoutMemoryTest, KindsAreThoseOfTheFullestRank) {
  train::EngineConfig config = test::ToyConfig("llama");
  config.model.context = 64;
  config.global_batch = 16;
  for (const Layout& layout :
       {Layout{}, Layout{.data = 4, .zero = 1}, Layout{.data = 4, .zero = 3},
        Layout{.tensor = 2, .pipeline = 2}}) {
    const parallel::Mesh mesh = test::Value(MeshOf(layout));
    const train::EngineConfig chosen = WithLayout(config, layout);
    const Candidate candidate{
        layout, test::Value(ForecastStep(chosen, mesh, RoundMachine(), {}))};
    const RankMemory memory =
        test::Value(MemoryOf(config, candidate, RoundMachine()));
    EXPECT_EQ(memory.peak(), candidate.forecast.memory());
    int64_t fullest = 0;
    RankMemory whole;
    for (int rank = 0; rank < mesh.world_size(); ++rank) {
      const RankMemory one = test::Value(EstimateMemory(chosen, mesh, rank));
      if (one.peak() > fullest) {
        fullest = one.peak();
        whole = one;
      }
    }
    EXPECT_EQ(memory.weights, whole.weights);
    EXPECT_EQ(memory.gradients, whole.gradients);
    EXPECT_EQ(memory.optimizer, whole.optimizer);
    EXPECT_NEAR(static_cast<double>(memory.activations),
                static_cast<double>(whole.activations),
                0.05 * static_cast<double>(whole.peak()));
  }
}

TEST(LayoutMemoryTest, ExpertsHaveTheirState) {
  const Experts experts{.count = 8, .per_token = 2, .hidden = 100};
  const train::EngineConfig config =
      test::Value(DenseOf(test::ToyConfig("llama"), experts));
  const auto memory = [&](int expert) {
    const Layout layout{.data = 2, .pipeline = 2, .zero = 1, .expert = expert};
    const Candidate candidate{
        layout, test::Value(ForecastStep(
                    WithLayout(config, layout), test::Value(MeshOf(layout)),
                    RoundMachine(), {.experts = WithLayout(experts, layout)}))};
    const RankMemory kinds =
        test::Value(MemoryOf(config, candidate, RoundMachine(), experts));
    EXPECT_EQ(kinds.peak(), candidate.forecast.memory());
    EXPECT_GT(kinds.activations, 0);
    return kinds;
  };
  const RankMemory all = memory(1), half = memory(2);
  // Of 4 layers.
  EXPECT_EQ(all.parameters - half.parameters, 4 * 4 * 3 * 96 * 100);
  EXPECT_EQ(all.weights - half.weights, 4 * (4 * 4 * 3 * 96 * 100));
  EXPECT_EQ(all.optimizer, half.optimizer);
}

}  // namespace
}  // namespace eisbach::plan::layout_memory_test
