#include "models/transformer.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::models::transformer_test {
namespace {

using test::Layout;

// How many ranks of a layout are primary for each element: by logical name,
// the number of primary elements.
std::map<std::string, int64_t> PrimaryElements(const Layout& layout,
                                               const ModelConfig& config) {
  std::map<std::string, int64_t> elements;
  for (int rank = 0; rank < layout.ranks(); ++rank) {
    auto world =
        test::Value(comm::SimWorld(rank, layout.ranks(), DeviceType::kMeta));
    auto context = test::Value(parallel::ParallelContext::Make(
        *world, test::Value(test::MeshOf(layout))));
    const int64_t stages = layout.pipeline;
    const int64_t stage = context->index(Axis::kPipeline);
    auto model =
        test::Value(Transformer::Make(config,
                                      {{config.layers * stage / stages,
                                        config.layers * (stage + 1) / stages}},
                                      {}, *context));
    std::set<Parameter*> seen;
    model->VisitParameters([&](Parameter& parameter) {
      if (!seen.insert(&parameter).second) return;
      for (const LogicalSlice& slice : parameter.spec().slices) {
        if (slice.primary) elements[slice.name] += SliceElements(slice);
      }
    });
  }
  return elements;
}

TEST(TransformerTest, EveryElementHasOnePrimaryRankOnEveryLayout) {
  for (const std::string& family : FamilyNames()) {
    for (bool tied : {false, true}) {
      ModelConfig config = test::ToyModel(family);
      config.tie_embeddings = tied;
      const auto whole = PrimaryElements({}, config);
      int64_t sum = 0;
      for (const auto& [name, elements] : whole) sum += elements;
      EXPECT_EQ(sum, ParameterCount(config)) << family << tied;
      for (const Layout& layout :
           {Layout{1, 2, 1}, Layout{1, 3, 1}, Layout{1, 8, 1}, Layout{1, 1, 4},
            Layout{1, 6, 2}}) {
        EXPECT_EQ(PrimaryElements(layout, config), whole)
            << family << tied << layout.ToString();
      }
    }
  }
}

TEST(TransformerTest, FamiliesHaveTheirTensors) {
  const auto gpt = PrimaryElements({}, test::ToyModel("gpt"));
  EXPECT_TRUE(gpt.contains("embedding.position.weight"));
  EXPECT_TRUE(gpt.contains("blocks.7.attention.query.bias"));
  EXPECT_FALSE(gpt.contains("head.weight"));
  const auto llama = PrimaryElements({}, test::ToyModel("llama"));
  EXPECT_FALSE(llama.contains("embedding.position.weight"));
  EXPECT_FALSE(llama.contains("blocks.7.attention.query.bias"));
  EXPECT_TRUE(llama.contains("blocks.7.mlp.gate.weight"));
  EXPECT_TRUE(llama.contains("head.weight"));
}

}  // namespace
}  // namespace eisbach::models::transformer_test
