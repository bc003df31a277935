#include "tensor/param_spec.h"

#include "gtest/gtest.h"

namespace eisbach::param_spec_test {
namespace {

TEST(WholeParam, HasOneSliceThatCoversIt) {
  const ParamSpec spec =
      WholeParam("head.weight", {5, 3}, {Init::Kind::kNormal, 0.02f}, true);
  EXPECT_EQ(spec.name, "head.weight");
  EXPECT_TRUE(spec.decay);
  ASSERT_EQ(spec.slices.size(), 1);
  const LogicalSlice& slice = spec.slices[0];
  EXPECT_EQ(slice.name, "head.weight");
  EXPECT_EQ(slice.shape, Shape({5, 3}));
  EXPECT_EQ(slice.start, Shape({0, 0}));
  EXPECT_EQ(slice.extent, Shape({5, 3}));
  EXPECT_TRUE(slice.primary);
  EXPECT_EQ(SliceOffset(spec, slice), 0);
  EXPECT_EQ(SliceElements(slice), 15);
}

TEST(SliceOffset, CountsLocalRows) {
  ParamSpec spec;
  spec.shape = {12, 8};
  LogicalSlice slice;
  slice.extent = {4, 8};
  slice.local_row = 8;
  EXPECT_EQ(SliceOffset(spec, slice), 64);
  EXPECT_EQ(SliceElements(slice), 32);
}

TEST(SliceOffset, OfAVectorCountsElements) {
  ParamSpec spec;
  spec.shape = {12};
  LogicalSlice slice;
  slice.extent = {4};
  slice.local_row = 8;
  EXPECT_EQ(SliceOffset(spec, slice), 8);
  EXPECT_EQ(SliceElements(slice), 4);
}

}  // namespace
}  // namespace eisbach::param_spec_test
