#include "nn/linear.h"

#include <gtest/gtest.h>

namespace eisbach::nn::linear_test {
namespace {

TEST(LinearTest, PlainLayerIsOnePieceAndDecaysItsWeightAlone) {
  Linear linear(PlainLinear("up", 3, 5, /*bias=*/true, 0.5f));
  const ParamSpec& weight = linear.weight().spec();
  EXPECT_EQ(weight.name, "up.weight");
  EXPECT_EQ(weight.shape, (Shape{5, 3}));
  ASSERT_EQ(weight.slices.size(), 1);
  EXPECT_EQ(weight.slices[0].shape, (Shape{5, 3}));
  EXPECT_TRUE(weight.decay);
  EXPECT_EQ(weight.init.stddev, 0.5f);
  const ParamSpec& bias = linear.bias()->spec();
  EXPECT_EQ(bias.shape, Shape{5});
  EXPECT_FALSE(bias.decay);
  EXPECT_EQ(bias.init.kind, Init::Kind::kZeros);
}

TEST(LinearTest, FusedShardKeepsEachLogicalTensorApart) {
  LinearOptions options;
  options.name = "qkv";
  options.columns = Range::Whole(8);
  // Rows 4..7 of a query of 12, and rows 2..5 of a key of 6 of which a lower
  // rank counts the first two.
  options.pieces = {{"query", {12, 4, 4}}, {"key", {6, 2, 4}}};
  options.pieces[1].foreign_rows = 2;
  options.pieces[1].sum_over_tensor = true;
  Linear linear(options);
  const ParamSpec& spec = linear.weight().spec();
  EXPECT_EQ(spec.shape, (Shape{8, 8}));
  ASSERT_EQ(spec.slices.size(), 3);
  EXPECT_EQ(spec.slices[0].name, "query.weight");
  EXPECT_EQ(spec.slices[0].start, (Shape{4, 0}));
  EXPECT_EQ(spec.slices[0].local_row, 0);
  EXPECT_TRUE(spec.slices[0].primary);
  EXPECT_FALSE(spec.slices[0].sum_over_tensor);
  EXPECT_EQ(spec.slices[1].start, (Shape{2, 0}));
  EXPECT_EQ(spec.slices[1].local_row, 4);
  EXPECT_FALSE(spec.slices[1].primary);
  EXPECT_EQ(spec.slices[2].start, (Shape{4, 0}));
  EXPECT_EQ(spec.slices[2].local_row, 6);
  EXPECT_TRUE(spec.slices[2].primary);
  EXPECT_TRUE(spec.slices[2].sum_over_tensor);
  EXPECT_EQ(linear.bias()->spec().slices.size(), 3);
}

TEST(LinearTest, SharedBiasIsCountedByTheFirstRank) {
  LinearOptions options = PlainLinear("down", 8, 4, true, 0.02f);
  options.columns = {16, 8, 8};
  options.shared_bias = true;
  options.first = false;
  Linear linear(options);
  EXPECT_EQ(linear.weight().spec().slices[0].start, (Shape{0, 8}));
  EXPECT_TRUE(linear.weight().spec().slices[0].primary);
  EXPECT_FALSE(linear.bias()->spec().slices[0].primary);
}

}  // namespace
}  // namespace eisbach::nn::linear_test
