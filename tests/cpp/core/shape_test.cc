#include "core/shape.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace eisbach::shape_test {
namespace {

using ::testing::ElementsAre;

TEST(Shape, CountsElements) {
  EXPECT_EQ(Shape({2, 3, 4}).elements(), 24);
  EXPECT_EQ(Shape({2, 0, 4}).elements(), 0);
  EXPECT_EQ(Shape().elements(), 1);  // a scalar
  EXPECT_EQ(Shape({int64_t{1} << 20, int64_t{1} << 20}).elements(),
            int64_t{1} << 40);
}

TEST(Shape, NegativeIndicesCountFromTheEnd) {
  Shape shape{2, 3, 4};
  EXPECT_EQ(shape[-1], 4);
  EXPECT_EQ(shape[-3], 2);
  shape.Set(-2, 7);
  EXPECT_EQ(shape, Shape({2, 7, 4}));
}

TEST(Shape, ComparesRankAndSizes) {
  EXPECT_EQ(Shape({2, 3}), Shape({2, 3}));
  EXPECT_NE(Shape({2, 3}), Shape({3, 2}));
  EXPECT_NE(Shape({2}), Shape({2, 1}));
}

TEST(Shape, PrintsAsAList) {
  EXPECT_EQ(Shape({2, 3}).ToString(), "[2, 3]");
  EXPECT_EQ(Shape().ToString(), "[]");
}

TEST(ContiguousStrides, InnermostIsOne) {
  EXPECT_THAT(ContiguousStrides({2, 3, 4}), ElementsAre(12, 4, 1));
  EXPECT_THAT(ContiguousStrides({5}), ElementsAre(1));
  EXPECT_THAT(ContiguousStrides({}), ElementsAre());
}

}  // namespace
}  // namespace eisbach::shape_test
