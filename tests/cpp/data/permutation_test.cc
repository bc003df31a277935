#include "data/permutation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace eisbach::data::permutation_test {
namespace {

TEST(PermutationTest, HitsEveryElementOnce) {
  for (int64_t size = 1; size <= 300; ++size) {
    const Permutation permutation(size, 77 * size);
    std::vector<int> hits(size, 0);
    for (int64_t i = 0; i < size; ++i) {
      const int64_t value = permutation(i);
      ASSERT_GE(value, 0);
      ASSERT_LT(value, size);
      ++hits[value];
    }
    for (int count : hits) ASSERT_EQ(count, 1) << size;
  }
}

TEST(PermutationTest, HugeSizesStayInside) {
  for (int shift : {31, 32, 33, 40, 61}) {
    const int64_t size = (int64_t{1} << shift) + 1;
    const Permutation permutation(size, 3);
    for (int64_t i : {int64_t{0}, size / 2, size - 1}) {
      EXPECT_GE(permutation(i), 0);
      EXPECT_LT(permutation(i), size);
    }
  }
}

// Over many keys each element lands everywhere equally often: the scaled
// squares add up to chi-square with (size - 1)^2 degrees of freedom.
TEST(PermutationTest, IsUniformOverKeys) {
  for (int size : {2, 3, 5, 7, 20}) {
    constexpr int kKeys = 20000;
    std::vector<int> count(size * size, 0);
    for (int key = 0; key < kKeys; ++key) {
      const Permutation permutation(size, key);
      for (int i = 0; i < size; ++i) ++count[i * size + permutation(i)];
    }
    const double expected = static_cast<double>(kKeys) / size;
    double chi = 0;
    for (int c : count) chi += (c - expected) * (c - expected) / expected;
    chi *= static_cast<double>(size - 1) / size;
    const double freedom = (size - 1) * (size - 1);
    EXPECT_LT(chi, freedom + 5 * std::sqrt(2 * freedom) + 8) << size;
  }
}

// Neighbours do not stay neighbours.
TEST(PermutationTest, BreaksRuns) {
  constexpr int64_t kSize = 10007;
  const Permutation permutation(kSize, 1);
  int close = 0;
  for (int64_t i = 0; i + 1 < kSize; ++i) {
    close += std::abs(permutation(i + 1) - permutation(i)) <= 5;
  }
  EXPECT_LT(close, 40);  // 10 expected
}

TEST(PermutationTest, DependsOnTheKeyAlone) {
  const Permutation a(1000, 5), b(1000, 5), c(1000, 6);
  int same = 0;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(a(i), b(i));
    same += a(i) == c(i);
  }
  EXPECT_LT(same, 15);
  // The order of samples is part of a run: these may never change.
  const Permutation fixed(1000, 1234);
  const std::vector<int64_t> golden = {668, 188, 91, 762};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(fixed(i), golden[i]);
}

}  // namespace
}  // namespace eisbach::data::permutation_test
