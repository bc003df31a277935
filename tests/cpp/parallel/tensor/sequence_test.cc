#include "parallel/tensor/sequence.h"

#include <gtest/gtest.h>

#include "support/status_testing.h"

namespace eisbach::parallel::sequence_test {
namespace {

using test::StatusIs;
using test::Value;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(DividesTokensTest, AutoDoesWhereItCan) {
  EXPECT_TRUE(Value(DividesTokens({}, {1, 8, 4})));
  EXPECT_TRUE(Value(DividesTokens({}, {2, 3, 2})));  // in the order of rows
  EXPECT_FALSE(Value(DividesTokens({}, {1, 10, 4})));
  EXPECT_FALSE(Value(DividesTokens({}, {1, 8, 1})));
  EXPECT_FALSE(Value(DividesTokens(false, {1, 8, 4})));
  EXPECT_TRUE(Value(DividesTokens(true, {1, 8, 4})));
  EXPECT_FALSE(Value(DividesTokens(true, {1, 7, 1})));
}

TEST(DividesTokensTest, StopsWhereItIsAskedForInVain) {
  EXPECT_THAT(
      DividesTokens(true, {1, 10, 4}).status(),
      StatusIs(
          kInvalid,
          "tensor=4 does not divide the 10 tokens of micro_batch=1 x 10 "
          "positions (parallel.sequence, model.context); nearest number of "
          "positions that works: 12"));
  EXPECT_THAT(DividesTokens(true, {2, 7, 4}).status(),
              StatusIs(kInvalid, "positions that works: 8"));
  EXPECT_THAT(DividesTokens(true, {1, 1, 8}).status(),
              StatusIs(kInvalid, "positions that works: 8"));
}

TEST(WholeTokensTextTest, SaysWhyAutoDoesNot) {
  EXPECT_EQ(WholeTokensText({}, {1, 8, 4}), "");
  EXPECT_EQ(WholeTokensText({}, {1, 7, 1}), "");
  EXPECT_EQ(WholeTokensText(false, {1, 7, 2}), "");
  EXPECT_EQ(WholeTokensText({}, {1, 10, 4}),
            "sequence=auto: every tensor rank keeps all tokens, as tensor=4 "
            "does not divide the 10 tokens of micro_batch=1 x 10 positions "
            "(parallel.sequence, model.context); nearest number of positions "
            "that works: 12");
}

TEST(ShareTokensTest, CutsRowsInOrder) {
  const nn::TokenShare share = Value(ShareTokens({3, 8, 2}, 1));
  EXPECT_EQ(share.samples, 3);
  EXPECT_EQ(share.positions, 8);
  EXPECT_EQ(share.first, 12);
  EXPECT_EQ(share.count, 12);
  EXPECT_THAT(ShareTokens({3, 7, 2}, 0).status(),
              StatusIs(kInvalid, "does not divide the 21 tokens"));
}

}  // namespace
}  // namespace eisbach::parallel::sequence_test
