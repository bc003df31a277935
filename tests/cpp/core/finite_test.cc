#include "core/finite.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace eisbach::finite_test {
namespace {

template <typename T>
std::optional<size_t> First(const std::vector<T>& values) {
  // At an odd address.
  std::vector<std::byte> bytes(values.size() * sizeof(T) + 1);
  std::copy_n(reinterpret_cast<const std::byte*>(values.data()),
              values.size() * sizeof(T), bytes.begin() + 1);
  return FirstNonFinite(DTypeOf<T>::value, std::span(bytes).subspan(1));
}

template <typename T>
class FiniteTest : public testing::Test {};
using Floats = testing::Types<float, double, BFloat16, Float16>;
TYPED_TEST_SUITE(FiniteTest, Floats);

TYPED_TEST(FiniteTest, FindsTheFirst) {
  using T = TypeParam;
  using Limits = std::numeric_limits<float>;
  std::vector<T> values(10001, T(-1.5f));
  values[3] = T(0.0f);
  values[4] = T(60000.0f);
  values[5] = T(1e-7f);
  EXPECT_EQ(First(values), std::nullopt);
  for (float bad : {Limits::quiet_NaN(), -Limits::quiet_NaN(),
                    Limits::infinity(), -Limits::infinity()}) {
    for (size_t at : {size_t{0}, size_t{4095}, size_t{4096}, size_t{10000}}) {
      std::vector<T> broken = values;
      broken[at] = T(bad);
      broken.back() = T(bad);
      EXPECT_EQ(First(broken), at);
    }
  }
  EXPECT_EQ(First(std::vector<T>()), std::nullopt);
}

TEST(FiniteTest, WholeNumbersAlwaysAre) {
  EXPECT_EQ(First(std::vector<int32_t>{-1, 0x7f800000}), std::nullopt);
}

}  // namespace
}  // namespace eisbach::finite_test
