#include "comm/mpi/host_blocks.h"

#include <gtest/gtest.h>

#include <vector>

namespace eisbach::comm::host_blocks_test {
namespace {

std::vector<int> Found(const std::vector<int>& hosts) {
  const std::optional<HostBlocks> blocks = FindHostBlocks(hosts);
  if (!blocks.has_value()) return {};
  return {blocks->hosts, blocks->per_host};
}

TEST(FindHostBlocks, FindsEqualBlocks) {
  EXPECT_EQ(Found({0, 0, 2, 2}), std::vector<int>({2, 2}));
  EXPECT_EQ(Found({6, 6, 6, 0, 0, 0, 3, 3, 3}), std::vector<int>({3, 3}));
}

TEST(FindHostBlocks, NeedsTwoHostsOfTwoRanks) {
  const std::vector<int> none;
  EXPECT_EQ(Found({}), none);
  EXPECT_EQ(Found({0}), none);
  EXPECT_EQ(Found({0, 0, 0}), none);
  EXPECT_EQ(Found({0, 1, 2}), none);
}

TEST(FindHostBlocks, WantsEqualBlocksInOnePiece) {
  const std::vector<int> none;
  EXPECT_EQ(Found({0, 0, 1}), none);
  EXPECT_EQ(Found({0, 0, 1, 1, 1}), none);
  EXPECT_EQ(Found({0, 0, 0, 1, 1}), none);
  EXPECT_EQ(Found({0, 1, 0, 1}), none);
  EXPECT_EQ(Found({0, 0, 1, 1, 0, 0}), none);
  EXPECT_EQ(Found({0, 0, 1, 2}), none);
}

}  // namespace
}  // namespace eisbach::comm::host_blocks_test
