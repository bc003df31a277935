// The headline: every layout trains like one rank.

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::train {
namespace {

using test::Factorings;
using test::Layout;
using test::ToyConfig;
using test::Train;

constexpr int kSteps = 20;

double Relative(double a, double b) { return std::abs(a - b) / std::abs(b); }

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

void ExpectEqualCurves(const std::vector<StepResult>& got,
                       const std::vector<StepResult>& want, double tolerance,
                       const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double worst_loss = 0, worst_norm = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    worst_loss = std::max(worst_loss, Relative(got[i].loss, want[i].loss));
    worst_norm =
        std::max(worst_norm, Relative(got[i].grad_norm, want[i].grad_norm));
  }
  EXPECT_LE(worst_loss, tolerance) << what << ": loss";
  EXPECT_LE(worst_norm, tolerance) << what << ": grad_norm";
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
    ExpectEqualCurves(test::Value(Train(layout, config, kSteps)), want, 1e-5,
                      layout.ToString());
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
    ExpectEqualCurves(test::Value(Train(layout, config, kSteps)), want, 1e-5,
                      layout.ToString());
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
