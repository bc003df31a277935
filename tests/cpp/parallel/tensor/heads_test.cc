#include "parallel/tensor/heads.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/status_testing.h"

namespace eisbach::parallel::heads_test {
namespace {

TEST(HeadsTest, EveryQueryHeadReadsTheSameKeyAsOnOneRank) {
  for (int64_t kv_heads : {1, 2, 3, 4, 6, 8, 12, 24}) {
    for (int size : {1, 2, 3, 4, 6, 8, 12, 24}) {
      std::vector<int> primaries(kv_heads, 0);
      for (int rank = 0; rank < size; ++rank) {
        const HeadShard shard =
            test::Value(ShardHeads(24, kv_heads, 4, rank, size));
        EXPECT_EQ(shard.query.count, 24 / size);
        for (int64_t h = 0; h < shard.local.heads; ++h) {
          const int64_t local =
              (h + shard.local.query_offset) / shard.local.group;
          ASSERT_LT(local, shard.local.kv_heads);
          EXPECT_EQ(shard.key_value.start + local,
                    (shard.query.start + h) / (24 / kv_heads));
        }
        for (int64_t k = 0; k < shard.key_value.count; ++k) {
          if (k > 0 || !shard.shared_below) {
            ++primaries[shard.key_value.start + k];
          }
        }
      }
      for (int count : primaries) EXPECT_EQ(count, 1) << kv_heads << size;
    }
  }
}

TEST(HeadsTest, SizesThatDoNotDivideAreErrors) {
  const auto bad = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(ShardHeads(24, 24, 4, 0, 5).status(),
              test::StatusIs(bad, "nearest that works: 4"));
  EXPECT_THAT(ShardHeads(24, 5, 4, 0, 1).status(),
              test::StatusIs(bad, "model.kv_heads"));
}

}  // namespace
}  // namespace eisbach::parallel::heads_test
