// The headline: every layout trains like one rank.

#include <gtest/gtest.h>

#include <map>

#include "support/curves.h"
#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::train {
namespace {

using test::Factorings;
using test::Layout;
using test::ToyConfig;
using test::Train;

constexpr int kSteps = 20;

// What one rank does, computed once for each configuration.
const std::vector<StepResult>& OneRank(const std::string& key,
                                       const EngineConfig& config) {
  static std::map<std::string, std::vector<StepResult>> results;
  auto it = results.find(key);
  if (it == results.end()) {
    it = results.emplace(key, test::Value(Train({}, config, kSteps))).first;
  }
  return it->second;
}

struct Case {
  std::string family;
  int ranks;
};

class LayoutsTest : public testing::TestWithParam<Case> {};

TEST_P(LayoutsTest, TrainLikeOneRank) {
  const EngineConfig config = ToyConfig(GetParam().family);
  const auto& want = OneRank(GetParam().family, config);
  EXPECT_LT(want.back().loss, want.front().loss);
  for (const Layout& layout : Factorings(GetParam().ranks)) {
    test::ExpectCloseCurves(test::Value(Train(layout, config, kSteps)), want,
                            1e-5, layout.ToString());
  }
}

// AdamW and clipping hide a constant factor in the gradient; this does not.
TEST_P(LayoutsTest, TrainLikeOneRankWithPlainSgd) {
  EngineConfig config = ToyConfig(GetParam().family);
  config.update.optimizer.name = "sgd";
  config.update.optimizer.weight_decay = 0;
  config.update.clip_grad_norm = 0;
  config.update.schedule.learning_rate = 0.05;
  config.pipeline_schedule = "gpipe";
  const auto& want = OneRank(GetParam().family + " sgd", config);
  for (const Layout& layout : Factorings(GetParam().ranks)) {
    test::ExpectCloseCurves(test::Value(Train(layout, config, kSteps)), want,
                            1e-5, layout.ToString());
  }
}

// bf16 keeps three digits: the curves are the same within them.
TEST(LayoutsInBfloat16Test, TrainLikeOneRank) {
  EngineConfig config = ToyConfig("gpt");
  config.update.compute_dtype = DType::kBF16;
  const auto& want = OneRank("gpt bf16", config);
  for (const Layout& layout :
       {Layout{2, 1, 1}, Layout{1, 2, 1}, Layout{1, 1, 2}, Layout{2, 2, 2}}) {
    test::ExpectCloseCurves(test::Value(Train(layout, config, kSteps)), want,
                            1e-2, layout.ToString());
  }
}

// A mask that depended on the layout would show at once.
TEST(LayoutsWithDropoutTest, TrainLikeOneRank) {
  EngineConfig config = ToyConfig("gpt");
  config.model.dropout = 0.2f;
  const auto& want = OneRank("gpt dropout", config);
  for (const Layout& layout :
       {Layout{2, 1, 1}, Layout{1, 2, 1}, Layout{1, 1, 2}, Layout{2, 2, 2}}) {
    test::ExpectCloseCurves(test::Value(Train(layout, config, kSteps)), want,
                            1e-5, layout.ToString());
  }
}

INSTANTIATE_TEST_SUITE_P(All, LayoutsTest, testing::ValuesIn([] {
                           std::vector<Case> cases;
                           for (const char* family : {"gpt", "llama"}) {
                             for (int ranks : {2, 3, 4, 6, 8})
                               cases.push_back({family, ranks});
                           }
                           return cases;
                         }()),
                         [](const auto& info) {
                           return absl::StrCat(info.param.family, "_",
                                               info.param.ranks);
                         });

}  // namespace
}  // namespace eisbach::train
