// Windows by layer, a scale and a cap of scores, a cap of logits: choices of a
// model that every layout computes like one rank.

#include <gtest/gtest.h>

#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::attention_choices_test {
namespace {

using test::Layout;
using test::Trained;

constexpr int kSteps = 5;

EngineConfig Config(const std::string& family) {
  EngineConfig config = test::ToyConfig(family);
  config.micro_batch = 3;
  models::Architecture& architecture = config.model.architecture;
  architecture.window = 3;
  architecture.window_from = 1;
  architecture.window_full_every = 4;
  architecture.attention_scale = 0.7;
  architecture.attention_cap = 0.05;
  architecture.final_cap = 0.1;
  return config;
}

Trained Trains(const Layout& layout, const EngineConfig& config) {
  return test::Value(test::TrainAndGather(layout, config, kSteps));
}

TEST(AttentionChoicesTest, EveryLayoutTrainsLikeOneRank) {
  for (const char* family : {"llama", "gpt"}) {
    const Trained want = Trains({}, Config(family));
    for (const Layout& layout :
         {Layout{2, 1, 1}, Layout{1, 3, 1}, Layout{1, 1, 2}, Layout{2, 2, 2}}) {
      test::ExpectTrainsLike(Trains(layout, Config(family)), want,
                             test::kFloat32Tolerance,
                             absl::StrCat(family, " ", layout.ToString()));
    }
  }
}

// None of them is without effect, and a window that hides nothing is none.
TEST(AttentionChoicesTest, EachChangesTheLoss) {
  const auto changed = [](auto change) {
    EngineConfig config = Config("llama");
    change(config.model.architecture);
    return test::Value(test::TrainAndGather({}, config, 1)).curve.back().loss;
  };
  using models::Architecture;
  const double loss = changed([](Architecture&) {});
  EXPECT_NE(changed([](Architecture& a) { a.window = 4; }), loss);
  EXPECT_NE(changed([](Architecture& a) { a.window_from = 2; }), loss);
  EXPECT_NE(changed([](Architecture& a) { a.window_full_every = 3; }), loss);
  EXPECT_NE(changed([](Architecture& a) { a.attention_scale = 0.6; }), loss);
  EXPECT_NE(changed([](Architecture& a) { a.attention_cap = 0.06; }), loss);
  EXPECT_NE(changed([](Architecture& a) { a.final_cap = 0.2; }), loss);
  const auto none = [](Architecture& a) {
    a.window = a.window_from = a.window_full_every = 0;
  };
  EXPECT_EQ(changed([](Architecture& a) { a.window = 8; }), changed(none));
}

}  // namespace
}  // namespace eisbach::train::attention_choices_test
