#include "data/batch.h"

#include <gtest/gtest.h>

#include <limits>

namespace eisbach::data::batch_test {
namespace {

TEST(IdsBelowTest, IsAboveTokensAndTargets) {
  EXPECT_EQ(IdsBelow({}, {}), 1);
  EXPECT_EQ(IdsBelow({{3, 9, 0}}, {{9, 0, 1}}), 10);
  EXPECT_EQ(IdsBelow({{3, 9, 0}}, {{9, 0, 12}}), 13);
  EXPECT_EQ(IdsBelow({{0}}, {{-100}}), 1);
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  EXPECT_EQ(IdsBelow({{kMost}}, {{0}}), int64_t{kMost} + 1);
  EXPECT_EQ(IdsBelow({{5, -1}}, {{0, 0}}), std::numeric_limits<int64_t>::max());
}

}  // namespace
}  // namespace eisbach::data::batch_test
