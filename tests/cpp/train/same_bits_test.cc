// What must not change a single bit: running again, recomputing activations,
// and leaving weight gradients for later.

#include <gtest/gtest.h>

#include "support/curves.h"
#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::train {
namespace {

using test::Layout;

constexpr int kSteps = 4;

class SameBitsTest : public testing::TestWithParam<Layout> {
 protected:
  test::Curve Run(const EngineConfig& config) {
    return test::Value(test::Train(GetParam(), config, kSteps));
  }
};

TEST_P(SameBitsTest, Again) {
  const EngineConfig config = test::ToyConfig("llama");
  test::ExpectSameCurves(Run(config), Run(config), "again");
}

TEST_P(SameBitsTest, Recompute) {
  EngineConfig config = test::ToyConfig("gpt");
  config.model.dropout = 0.1f;
  const test::Curve plain = Run(config);
  config.recompute = true;
  test::ExpectSameCurves(Run(config), plain, "recompute");
}

TEST_P(SameBitsTest, DeferredWeightGradients) {
  EngineConfig config = test::ToyConfig("gpt");
  const test::Curve plain = Run(config);
  config.deferred_weights = true;
  test::ExpectSameCurves(Run(config), plain, "deferred");
}

INSTANTIATE_TEST_SUITE_P(All, SameBitsTest,
                         testing::Values(Layout{1, 1, 1}, Layout{2, 1, 1},
                                         Layout{1, 2, 2}, Layout{2, 2, 2}),
                         [](const auto& info) {
                           return info.param.ToString();
                         });

}  // namespace
}  // namespace eisbach::train
