// What must not change a single bit: running again, recomputing activations,
// leaving weight gradients for later, and which rank stands where in the mesh.

#include <gtest/gtest.h>

#include <utility>

#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::same_bits_test {
namespace {

using test::Layout;
using test::Trained;

constexpr int kSteps = 4;

struct Case {
  const char* family;
  Layout layout;
};

class SameBitsTest : public testing::TestWithParam<Case> {
 protected:
  // Dropout's bits depend on where a value is.
  EngineConfig Config() {
    EngineConfig config = test::ToyConfig(GetParam().family);
    config.model.dropout = 0.1f;
    config.micro_batch = 3;
    return config;
  }
  void ExpectSameBits(const EngineConfig& got, const EngineConfig& want,
                      const std::string& what) {
    ExpectSameBits(Run(got), Run(want), what);
  }
  void ExpectSameBits(const Trained& a, const Trained& b,
                      const std::string& what) {
    test::ExpectSameCurves(a.curve, b.curve, what);
    ASSERT_EQ(a.gradients.size(), b.gradients.size()) << what;
    for (size_t i = 0; i < a.gradients.size(); ++i) {
      EXPECT_EQ(a.gradients[i].values, b.gradients[i].values)
          << what << ": " << a.gradients[i].name;
    }
  }
  Trained Run(const EngineConfig& config) {
    return Run(GetParam().layout, config);
  }
  Trained Run(const Layout& layout, const EngineConfig& config) {
    return test::Value(test::TrainAndGather(layout, config, kSteps));
  }
};

TEST_P(SameBitsTest, Again) { ExpectSameBits(Config(), Config(), "again"); }

TEST_P(SameBitsTest, AgainInBfloat16) {
  EngineConfig config = Config();
  config.update.compute_dtype = DType::kBF16;
  ExpectSameBits(config, config, "again");
}

TEST_P(SameBitsTest, Recompute) {
  EngineConfig config = Config();
  const Trained plain = Run(config);
  for (const auto& [recompute, layers] :
       {std::pair{nn::Recompute::kSelective,
                  models::TransformerOptions::kAllBlocks},
        std::pair{nn::Recompute::kSelective, int64_t{2}},
        std::pair{nn::Recompute::kBlock,
                  models::TransformerOptions::kAllBlocks}}) {
    config.recompute = recompute;
    config.recompute_layers = layers;
    ExpectSameBits(Run(config), plain, "recompute");
  }
}

TEST_P(SameBitsTest, DeferredWeightGradients) {
  EngineConfig config = Config();
  config.deferred_weights = true;
  ExpectSameBits(config, Config(), "deferred");
}

TEST_P(SameBitsTest, RanksPlacedOtherwise) {
  Layout placed = GetParam().layout;
  for (int rank = placed.ranks(); rank > 0; --rank) {
    placed.placement.push_back(rank % placed.ranks());
  }
  ExpectSameBits(Run(placed, Config()), Run(Config()), "placed");
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* family : {"gpt", "llama"}) {
    for (const Layout& layout :
         {Layout{1, 1, 1}, Layout{2, 1, 1}, Layout{1, 2, 2}, Layout{2, 2, 2}}) {
      cases.push_back({family, layout});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, SameBitsTest, testing::ValuesIn(Cases()),
                         [](const auto& info) {
                           return info.param.family +
                                  info.param.layout.ToString();
                         });

}  // namespace
}  // namespace eisbach::train::same_bits_test
