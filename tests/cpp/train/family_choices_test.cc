// Norms behind branches, norms of 1 + w, norms over all heads, learned
// activations, scaled embeddings, rotary positions of a part of a head and by
// kind of layer: what families choose is computed by every layout like one
// rank.

#include <gtest/gtest.h>

#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::family_choices_test {
namespace {

using models::Architecture;
using test::Layout;
using test::Trained;

constexpr int kSteps = 5;

// Three key heads: some are on several ranks of four and of eight.
EngineConfig Config(const std::string& family) {
  EngineConfig config = test::ToyConfig(family);
  config.micro_batch = 3;
  // AdamW's first steps take no notice of how large a gradient is, and amplify
  // the rounding of those near 0.
  config.update.optimizer.name = "sgd";
  config.update.optimizer.weight_decay = 0;
  config.update.clip_grad_norm = 0;
  config.update.schedule.learning_rate = 0.01;
  config.model.kv_heads = 3;
  config.model.tie_embeddings = family == "gemma2" || family == "gemma3";
  Architecture& a = config.model.architecture;
  if (family == "phi3") {
    config.model.head_dim = 8;
    a.rope.fraction = 0.5;
    a.rope.scaling = ops::RopeScaling::kLongRope;
    a.rope.factor = 2;
    a.rope.original_context = 4;
    a.rope.short_factors = {1, 1};
    a.rope.long_factors = {1.5, 3};
  }
  if (family == "gemma2" || family == "gemma3") a.window = 3;
  return config;
}

Trained Trains(const Layout& layout, const EngineConfig& config) {
  return test::Value(test::TrainAndGather(layout, config, kSteps));
}

class FamilyChoicesTest : public testing::TestWithParam<const char*> {};

TEST_P(FamilyChoicesTest, EveryLayoutTrainsLikeOneRank) {
  EngineConfig config = Config(GetParam());
  const Trained want = Trains({}, config);
  for (const Layout& layout :
       {Layout{2, 1, 1}, Layout{1, 3, 1}, Layout{1, 4, 1}, Layout{1, 1, 2},
        Layout{2, 2, 2}, Layout{1, 8, 1}}) {
    test::ExpectTrainsLike(Trains(layout, config), want,
                           test::kFloat32Tolerance, layout.ToString());
  }
  config.recompute = nn::Recompute::kBlock;
  test::ExpectTrainsLike(Trains({1, 2, 1}, config), want,
                         test::kFloat32Tolerance, "recomputed");
}

INSTANTIATE_TEST_SUITE_P(All, FamilyChoicesTest,
                         testing::Values("phi3", "olmo2", "apertus", "gemma2",
                                         "gemma3"),
                         [](const auto& info) { return info.param; });

// None of them is without effect.
TEST(FamilyChoicesTest, EachChangesTheLoss) {
  const auto expect_change = [](const char* family, auto change) {
    const EngineConfig config = Config(family);
    EngineConfig other = config;
    change(other.model.architecture);
    EXPECT_NE(Trains({}, other).curve.back().loss,
              Trains({}, config).curve.back().loss)
        << family;
  };
  expect_change("phi3", [](Architecture& a) {
    a.rope.fraction = 1;
    a.rope.scaling = {};
  });
  expect_change("phi3", [](Architecture& a) { a.rope.long_factors[1] = 4; });
  expect_change("phi3", [](Architecture& a) { a.rope.original_context = 8; });
  expect_change("olmo2", [](Architecture& a) {
    a.norm_placement = models::NormPlacement::kBoth;
  });
  expect_change("olmo2",
                [](Architecture& a) { a.qk_norm = models::QkNorm::kHead; });
  expect_change("gemma2", [](Architecture& a) { a.scale_embedding = false; });
  expect_change("gemma2", [](Architecture& a) {
    a.activation = nn::Activation::kSwiglu;
  });
  expect_change("gemma3", [](Architecture& a) { a.window_rope_theta = 100; });
}

}  // namespace
}  // namespace eisbach::train::family_choices_test
