#include "nn/token_rows.h"

#include <gtest/gtest.h>

#include "support/op_testing.h"

namespace eisbach::nn::token_rows_test {
namespace {

using Run = autograd::TrainedRows::Run;

bool Is(const Run& run, int64_t row, int64_t table_row, int64_t count) {
  return run.row == row && run.table_row == table_row && run.count == count;
}

TEST(TokenRowsTest, AreAParameterOfTheirOwn) {
  TokenRows rows({.table = "head",
                  .ids = {4, 7, 8, 9},
                  .rows = Range::Whole(12),
                  .hidden = 6});
  const ParamSpec& spec = rows.weight().spec();
  EXPECT_EQ(spec.name, "head.rows.weight");
  EXPECT_EQ(spec.shape, (Shape{4, 6}));
  EXPECT_EQ(spec.role, AdapterRole::kFactor);
  EXPECT_TRUE(spec.decay);
  EXPECT_TRUE(spec.slices[0].primary);
  EXPECT_FALSE(spec.slices[0].sum_over_tensor);
}

// All ranks have them, one counts them, and each knows which are its table's.
TEST(TokenRowsTest, OfADividedTable) {
  TokenRows rows({.table = "embedding.token",
                  .ids = {4, 7, 8, 9},
                  .rows = {12, 4, 4},
                  .hidden = 6,
                  .divided = true,
                  .first = false});
  const ParamSpec& spec = rows.weight().spec();
  EXPECT_EQ(spec.shape, (Shape{4, 6}));
  EXPECT_FALSE(spec.slices[0].primary);
  EXPECT_TRUE(spec.slices[0].sum_over_tensor);
  ForwardContext context{test::TheStream()};
  const autograd::TrainedRows* own = rows.In(context);
  ASSERT_NE(own, nullptr);
  EXPECT_EQ(own->weight, &rows.weight());
  ASSERT_EQ(own->runs.size(), 2);  // 9 is not among its rows, 4 to 7
  EXPECT_TRUE(Is(own->runs[0], 0, 0, 1));
  EXPECT_TRUE(Is(own->runs[1], 1, 3, 1));
  context.adapters = false;
  EXPECT_EQ(rows.In(context), nullptr);
}

TEST(TokenRowsTest, RowsThatFollowOneAnotherAreOneRun) {
  TokenRows rows(
      {.table = "head", .ids = {4, 7, 8, 9}, .rows = {20, 7, 7}, .hidden = 6});
  const ForwardContext context{test::TheStream()};
  const autograd::TrainedRows* own = rows.In(context);
  ASSERT_EQ(own->runs.size(), 1);
  EXPECT_TRUE(Is(own->runs[0], 1, 0, 3));
}

}  // namespace
}  // namespace eisbach::nn::token_rows_test
