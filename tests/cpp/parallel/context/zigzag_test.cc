#include "parallel/context/zigzag.h"

#include <gtest/gtest.h>

#include <utility>

#include "support/op_testing.h"
#include "support/status_testing.h"

namespace eisbach::parallel::zigzag_test {
namespace {

using test::Value;

TEST(ZigzagTest, RanksHaveAChunkFromEachEnd) {
  const Zigzag zigzag(24, 4, 1);
  EXPECT_EQ(zigzag.chunk(), 3);
  EXPECT_EQ(zigzag.part(), 6);
  const auto spans = zigzag.Mine();
  EXPECT_EQ(spans[0].row, 0);
  EXPECT_EQ(spans[0].position, 3);
  EXPECT_EQ(spans[1].row, 3);
  EXPECT_EQ(spans[1].position, 18);
}

// Pairs of queries and keys, of which a causal row has length (length + 1) / 2.
TEST(ZigzagTest, RanksHaveTheSameWork) {
  for (const int ranks : {2, 3, 4, 8}) {
    const int64_t length = 2 * ranks * 5;
    const ops::AttentionSpan row{0, length, 0};
    for (int rank = 0; rank < ranks; ++rank) {
      double pairs = 0;
      for (const auto& span : Zigzag(length, ranks, rank).Mine()) {
        pairs += ops::AttentionPairs(span, row, /*window=*/0);
      }
      EXPECT_EQ(pairs * ranks, length * (length + 1) / 2.0) << ranks;
    }
  }
}

// A zigzag of groups, each of which is a zigzag of ranks, is that of all ranks:
// so the tokens of neighbours are what one rank of fewer would have, and groups
// have the same work.
TEST(ZigzagTest, GroupsOfNeighboursAreAZigzag) {
  for (const auto& [groups, each] : {std::pair{2, 2}, {2, 4}, {4, 2}, {3, 2}}) {
    const int ranks = groups * each;
    const int64_t length = 2 * ranks * 3;
    const Tensor whole = test::Normal({2, length, 3}, DType::kF32, 1);
    Stream& stream = test::TheStream();
    for (int rank = 0; rank < ranks; ++rank) {
      const Zigzag between(length, groups, rank / each);
      const Zigzag inside(between.part(), each, rank % each);
      const Tensor group = Value(between.Take(whole, stream));
      EXPECT_EQ(test::ToDoubles(Value(inside.Take(group, stream))),
                test::ToDoubles(
                    Value(Zigzag(length, ranks, rank).Take(whole, stream))))
          << groups << " x " << each << ", rank " << rank;
    }
  }
}

TEST(ZigzagTest, PartsComeTogetherAgain) {
  Stream& stream = test::TheStream();
  for (const int ranks : {2, 3}) {
    const int64_t length = 2 * ranks * 2;
    const Tensor whole = test::Normal({3, length, 5}, DType::kF32, 1);
    const Zigzag zigzag(length, ranks, 1);
    const Tensor parts = Value(zigzag.Cut(whole, stream));
    EXPECT_EQ(parts.shape(), (Shape{ranks, 3, 4, 5}));
    EXPECT_EQ(test::ToDoubles(Value(zigzag.Join(parts, stream))),
              test::ToDoubles(whole));
    EXPECT_EQ(test::ToDoubles(Value(zigzag.Take(whole, stream))),
              test::ToDoubles(Value(parts.Narrow(0, 1, 1))));
  }
}

TEST(ZigzagTest, SaysWhichLengthWorks) {
  EISBACH_EXPECT_OK(Zigzag::Validate(7, 1));
  EISBACH_EXPECT_OK(Zigzag::Validate(12, 3));
  const auto said = [](int64_t length, int ranks) {
    return std::string(Zigzag::Validate(length, ranks).message());
  };
  EXPECT_EQ(said(100, 3),
            "context=3 divides rows into 2 x 3 = 6 chunks, and 6 does not "
            "divide 100 tokens (parallel.context, model.context); nearest that "
            "works: 102 tokens");
  EXPECT_TRUE(said(3, 4).ends_with("nearest that works: 8 tokens"));
}

}  // namespace
}  // namespace eisbach::parallel::zigzag_test
