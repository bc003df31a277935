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

}  // namespace
}  // namespace eisbach::plan::layout_memory_test
