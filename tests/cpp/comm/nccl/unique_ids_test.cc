#include "comm/nccl/unique_ids.h"

#include <gtest/gtest.h>

namespace eisbach::comm::unique_ids_test {
namespace {

using Ranks = std::vector<int>;

TEST(RanksWithId, AreTheFirstOfEachPart) {
  EXPECT_EQ(RanksWithId(2), Ranks{0});
  EXPECT_EQ(RanksWithId(256), Ranks{0});
  EXPECT_EQ(RanksWithId(257), (Ranks{0, 129}));
  EXPECT_EQ(RanksWithId(1024), (Ranks{0, 256, 512, 768}));
  // Ten in four parts: three, three, two and two.
  EXPECT_EQ(RanksWithId(10, 3), (Ranks{0, 3, 6, 8}));
}

}  // namespace
}  // namespace eisbach::comm::unique_ids_test
