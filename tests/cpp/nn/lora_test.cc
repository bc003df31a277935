#include "nn/lora.h"

#include <gtest/gtest.h>

#include <map>

namespace eisbach::nn::lora_test {
namespace {

std::map<std::string, ParamSpec> SpecsOf(Lora& lora) {
  std::map<std::string, ParamSpec> specs;
  lora.VisitParameters(
      [&](Parameter& p) { specs.emplace(p.spec().name, p.spec()); });
  return specs;
}

LinearOptions Fused() {
  LinearOptions options;
  options.name = "qkv";
  options.columns = Range::Whole(16);
  options.pieces = {{"query", {12, 4, 4}}, {"key", {6, 2, 4}}};
  options.pieces[1].foreign_rows = 2;
  options.pieces[1].sum_over_tensor = true;
  return options;
}

TEST(LoraTest, TheBaseNeverTrains) {
  Lora lora({.base = Fused(),
             .terms = {{"query", 0, 1}},
             .rank = 3,
             .scale = 2,
             .dropout = 0});
  const auto specs = SpecsOf(lora);
  ASSERT_EQ(specs.size(), 4);
  for (const char* name : {"qkv.weight", "qkv.bias"}) {
    EXPECT_EQ(specs.at(name).role, AdapterRole::kBase);
    EXPECT_TRUE(specs.at(name).training.frozen);
  }
  for (const char* name : {"qkv.lora_a.weight", "query.lora_b.weight"}) {
    EXPECT_EQ(specs.at(name).role, AdapterRole::kFactor);
    EXPECT_FALSE(specs.at(name).training.frozen);
    EXPECT_TRUE(specs.at(name).decay);
  }
  EXPECT_EQ(specs.at("qkv.lora_a.weight").init.kind, Init::Kind::kUniform);
  EXPECT_EQ(specs.at("qkv.lora_a.weight").init.bound, 0.25f);
  EXPECT_EQ(specs.at("query.lora_b.weight").init.kind, Init::Kind::kZeros);
}

// Of divided rows A is whole, and one rank counts it; B is divided as the base.
TEST(LoraTest, DividedRows) {
  Lora lora({.base = Fused(),
             .terms = {{"query", 0, 1}, {"key", 1, 1}},
             .rank = 3,
             .scale = 2,
             .dropout = 0,
             .divided = true,
             .first = false});
  const auto specs = SpecsOf(lora);
  const ParamSpec& a = specs.at("qkv.lora_a.weight");
  EXPECT_EQ(a.shape, (Shape{6, 16}));
  ASSERT_EQ(a.slices.size(), 2);
  EXPECT_EQ(a.slices[1].name, "key.lora_a.weight");
  EXPECT_EQ(a.slices[1].shape, (Shape{3, 16}));
  EXPECT_EQ(a.slices[1].local_row, 3);
  for (const LogicalSlice& slice : a.slices) {
    EXPECT_FALSE(slice.primary);
    EXPECT_TRUE(slice.sum_over_tensor);
  }
  const ParamSpec& query = specs.at("query.lora_b.weight");
  ASSERT_EQ(query.slices.size(), 1);
  EXPECT_EQ(query.slices[0].shape, (Shape{12, 3}));
  EXPECT_EQ(query.slices[0].start, (Shape{4, 0}));
  EXPECT_TRUE(query.slices[0].primary);
  EXPECT_FALSE(query.slices[0].sum_over_tensor);
  const ParamSpec& key = specs.at("key.lora_b.weight");
  ASSERT_EQ(key.slices.size(), 2);
  EXPECT_FALSE(key.slices[0].primary);
  EXPECT_TRUE(key.slices[1].primary);
  EXPECT_TRUE(key.slices[1].sum_over_tensor);
}

// Of divided columns it is the other way round.
TEST(LoraTest, DividedColumns) {
  LinearOptions down = PlainLinear("down", 16, 4, true, 0.02f);
  down.columns = {16, 8, 8};
  down.shared_bias = true;
  down.first = false;
  Lora lora({.base = down,
             .terms = {{"down", 0, 1}},
             .rank = 3,
             .scale = 2,
             .dropout = 0,
             .divided = true,
             .first = false});
  const auto specs = SpecsOf(lora);
  const LogicalSlice& a = specs.at("down.lora_a.weight").slices.at(0);
  EXPECT_EQ(a.shape, (Shape{3, 16}));
  EXPECT_EQ(a.start, (Shape{0, 8}));
  EXPECT_EQ(a.extent, (Shape{3, 8}));
  EXPECT_TRUE(a.primary);
  EXPECT_FALSE(a.sum_over_tensor);
  EXPECT_EQ(specs.at("down.lora_a.weight").init.bound, 0.25f);
  const LogicalSlice& b = specs.at("down.lora_b.weight").slices.at(0);
  EXPECT_EQ(b.extent, (Shape{4, 3}));
  EXPECT_FALSE(b.primary);
  EXPECT_TRUE(b.sum_over_tensor);
}

// As GPT-2's files have it: one A for all, and B in the pieces of the base.
TEST(LoraTest, PiecesMayShareAnA) {
  Lora lora({.base = Fused(),
             .terms = {{"qkv", 0, 2}},
             .rank = 3,
             .scale = 2,
             .dropout = 0});
  const auto specs = SpecsOf(lora);
  EXPECT_EQ(specs.at("qkv.lora_a.weight").shape, (Shape{3, 16}));
  const ParamSpec& b = specs.at("qkv.lora_b.weight");
  EXPECT_EQ(b.shape, (Shape{8, 3}));
  ASSERT_EQ(b.slices.size(), 3);
  EXPECT_EQ(b.slices[0].name, "query.lora_b.weight");
  EXPECT_EQ(b.slices[2].name, "key.lora_b.weight");
}

}  // namespace
}  // namespace eisbach::nn::lora_test
