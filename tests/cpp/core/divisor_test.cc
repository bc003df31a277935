#include "core/divisor.h"

#include <gtest/gtest.h>

namespace eisbach::divisor_test {
namespace {

TEST(DivisorTest, TheNearestIsFound) {
  EXPECT_EQ(NearestDivisor(12, 4), 4);
  EXPECT_EQ(NearestDivisor(12, 5), 4);  // as near as 6
  EXPECT_EQ(NearestDivisor(12, 8), 6);
  EXPECT_EQ(NearestDivisor(12, 11), 12);
  EXPECT_EQ(NearestDivisor(7, 4), 1);
  EXPECT_EQ(NearestDivisor(1, 9), 1);
}

TEST(DivisorTest, WhatIsOutsideIsNearestToAnEnd) {
  EXPECT_EQ(NearestDivisor(12, -3), 1);
  EXPECT_EQ(NearestDivisor(12, 1000), 12);
  EXPECT_EQ(NearestDivisor(12, int64_t{1} << 62), 12);
}

TEST(DivisorTest, SmallOnesMayBeLeftOut) {
  EXPECT_EQ(NearestDivisor(12, 1, 2), 2);
  EXPECT_EQ(NearestDivisor(7, 3, 2), 7);
  EXPECT_EQ(NearestDivisor(9, 0, 2), 3);
}

}  // namespace
}  // namespace eisbach::divisor_test
