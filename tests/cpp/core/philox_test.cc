#include "core/philox.h"

#include <cmath>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace eisbach::philox_test {
namespace {

// The known answers of philox4x32-10 in Random123 (tests/kat_vectors).
TEST(Philox, MatchesThePublishedVectors) {
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(Philox({ones, ones, ones, ones}, {ones, ones}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                   {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, IsAConstantExpression) {
  static_assert(Philox({0, 0, 0, 0}, {0, 0})[0] == 0x6627e8d5);
}

TEST(Philox, EveryCounterWordMatters) {
  std::set<PhiloxCounter> seen;
  for (int word = 0; word < 4; ++word) {
    for (uint32_t i = 1; i <= 256; ++i) {
      PhiloxCounter counter = {};
      counter[word] = i;
      seen.insert(Philox(counter, {1, 2}));
    }
  }
  EXPECT_EQ(seen.size(), 4 * 256);
}

TEST(MakePhiloxKey, UsesAllSixtyFourBits) {
  EXPECT_EQ(MakePhiloxKey(0x1122334455667788u),
            (PhiloxKey{0x55667788, 0x11223344}));
}

TEST(ToUniform, StaysBelowOne) {
  EXPECT_EQ(ToUniform(0), 0.0f);
  EXPECT_LT(ToUniform(0xffffffff), 1.0f);
  EXPECT_EQ(ToUniform(0x80000000), 0.5f);
}

TEST(ToNormal, IsFiniteAtTheEnds) {
  for (uint32_t a : {0u, 0xffffffffu}) {
    for (uint32_t b : {0u, 0x80000000u, 0xffffffffu}) {
      EXPECT_TRUE(std::isfinite(ToNormal(a, b)[0]));
      EXPECT_TRUE(std::isfinite(ToNormal(a, b)[1]));
    }
  }
}

TEST(ToNormal, HasTheMomentsOfTheNormalDistribution) {
  constexpr int kPairs = 100000;
  double sum = 0, squares = 0, fourth = 0, product = 0;
  int beyond_two = 0;
  for (uint32_t i = 0; i < kPairs; ++i) {
    const PhiloxCounter r = Philox({i, 0, 0, 0}, {7, 0});
    const auto pair = ToNormal(r[0], r[1]);
    product += pair[0] * pair[1];
    for (double x : pair) {
      sum += x;
      squares += x * x;
      fourth += x * x * x * x;
      beyond_two += std::abs(x) > 2;
    }
  }
  // Five standard errors of each estimate.
  const double n = 2.0 * kPairs;
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(fourth / n, 3, 5 * std::sqrt(96 / n));
  EXPECT_NEAR(product / kPairs, 0, 5 / std::sqrt(kPairs));
  EXPECT_NEAR(beyond_two / n, 0.0455, 5 * std::sqrt(0.0455 / n));
}

}  // namespace
}  // namespace eisbach::philox_test
