#include "ops/document_starts.h"

#include "support/op_testing.h"

namespace eisbach::ops::document_starts_test {
namespace {

using test::Value;

TEST(DocumentPositionsTest, CountFromTheFirstTokenOfADocument) {
  const Tensor starts =
      test::FromValues({2, 5}, DType::kI32, {0, 0, 2, 2, 2, 0, 1, 1, 3, 4});
  const Tensor positions = Value(DocumentPositions(starts, test::TheStream()));
  EXPECT_EQ(positions.dtype(), DType::kI32);
  EXPECT_EQ(test::ToDoubles(positions),
            std::vector<double>({0, 1, 0, 1, 2, 0, 0, 1, 0, 0}));
}

TEST(DocumentPositionsTest, TakesRowsOfAnyLength) {
  for (int64_t length : {0, 1, 257, 5000}) {
    std::vector<double> starts(3 * length, 0.0), want;
    for (int64_t i = 0; i < 3 * length; ++i) {
      want.push_back(static_cast<double>(i % length));
    }
    const Tensor t = test::FromValues({3, length}, DType::kI32, starts);
    EXPECT_EQ(test::ToDoubles(Value(DocumentPositions(t, test::TheStream()))),
              want);
  }
}

TEST(DocumentPositionsTest, ErrorsSayWhatIsWrong) {
  EXPECT_THAT(
      DocumentPositions(test::Empty({2, 5}, DType::kI64), test::TheStream()),
      test::StatusIs(absl::StatusCode::kInvalidArgument, "i64[2, 5]"));
}

TEST(DocumentPositionsTest, MetaGivesShapesAndCost) {
  test::CostRecorder recorder(test::Meta());
  const Tensor positions = Value(DocumentPositions(
      test::Empty({2, 5}, DType::kI32, test::Meta()), test::MetaStream()));
  EXPECT_EQ(positions.shape(), Shape({2, 5}));
  EXPECT_EQ(recorder.ops[0].second.bytes_written, 40);
}

}  // namespace
}  // namespace eisbach::ops::document_starts_test
