#include "core/median.h"

#include <gtest/gtest.h>

namespace eisbach::median_test {
namespace {

TEST(MedianTest, OfAnOddNumberBothAreTheMiddle) {
  EXPECT_EQ(UpperMedian({3, 9, 1, 2, 7}), 3);
  EXPECT_EQ(LowerMedian({3, 9, 1, 2, 7}), 3);
  EXPECT_EQ(UpperMedian({5}), 5);
  EXPECT_EQ(LowerMedian({5}), 5);
}

TEST(MedianTest, OfAnEvenNumberOneIsAboveAndOneBelow) {
  EXPECT_EQ(UpperMedian({4, 1, 3, 2}), 3);
  EXPECT_EQ(LowerMedian({4, 1, 3, 2}), 2);
}

TEST(MedianTest, OfNothingIsNothing) {
  EXPECT_EQ(UpperMedian({}), 0);
  EXPECT_EQ(LowerMedian({}), 0);
}

}  // namespace
}  // namespace eisbach::median_test
