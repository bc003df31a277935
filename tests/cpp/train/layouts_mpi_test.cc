// A dozen layouts between processes train like one rank.

#include <gtest/gtest.h>

#include "support/curves.h"
#include "support/mpi_world.h"
#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::train {
namespace {

TEST(LayoutsMpiTest, TrainLikeOneRank) {
  constexpr int kSteps = 5;
  comm::World& world = TestWorld();
  for (const char* family : {"gpt", "llama"}) {
    const EngineConfig config = test::ToyConfig(family);
    const test::Curve want = test::Value(test::Train({}, config, kSteps));
    for (const test::Layout& layout : test::Factorings(world.size())) {
      test::Curve got;
      EISBACH_ASSERT_OK(test::WithEngine(
          world, layout, config, [&](Engine& engine) -> absl::Status {
            for (int step = 0; step < kSteps; ++step) {
              EISBACH_ASSIGN_OR_RETURN(StepResult result,
                                       test::ToyStep(engine));
              got.push_back(result);
            }
            return absl::OkStatus();
          }));
      test::ExpectCloseCurves(got, want, 1e-5, family + layout.ToString());
    }
  }
}

}  // namespace
}  // namespace eisbach::train
