#include "optim/gradient_norm.h"

#include <cmath>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "support/op_testing.h"

namespace eisbach::optim::gradient_norm_test {
namespace {

using test::TheStream;
using test::Value;

class GradientNormTest : public ::testing::Test {
 protected:
  Parameter& Add(const Shape& shape) {
    owned_.push_back(std::make_unique<Parameter>(
        WholeParam(absl::StrCat("p", owned_.size()), shape, {}, true)));
    return *owned_.back();
  }
  // A matrix whose rows are divided into pieces, each primary or not; rows
  // that no piece covers are padding.
  Parameter& AddPieces(const Shape& shape,
                       std::vector<std::tuple<int64_t, int64_t, bool>> pieces) {
    Parameter& parameter = Add(shape);
    parameter.mutable_spec().slices.clear();
    for (const auto& [row, rows, primary] : pieces) {
      LogicalSlice slice;
      slice.name = parameter.spec().name;
      slice.extent = {rows, shape[1]};
      slice.local_row = row;
      slice.primary = primary;
      parameter.mutable_spec().slices.push_back(slice);
    }
    return parameter;
  }
  GradientNorm Make(int64_t bucket_bytes = 1 << 20) {
    std::vector<Parameter*> list;
    for (auto& parameter : owned_) list.push_back(parameter.get());
    buffer_ =
        Value(FlatBuffer::Make(list, DType::kF32, bucket_bytes, TheStream()));
    for (size_t i = 0; i < owned_.size(); ++i) {
      const Tensor& grad = owned_[i]->grad();
      test::Assign(grad, test::NormalValues(grad.elements(), i + 1));
    }
    return Value(GradientNorm::Make(*buffer_, TheStream()));
  }
  double Compute(GradientNorm& norm) {
    EISBACH_EXPECT_OK(norm.Compute(TheStream()));
    return test::ToDoubles(norm.partial())[0];
  }
  static double RowSquares(const Parameter& p, int64_t row, int64_t rows) {
    const Tensor piece = Value(p.grad().Narrow(0, row, rows));
    return test::Dot(piece, piece);
  }

  std::vector<std::unique_ptr<Parameter>> owned_;
  std::unique_ptr<FlatBuffer> buffer_;
};

TEST_F(GradientNormTest, SumsEverythingOnce) {
  for (int i = 0; i < 5; ++i) Add({7, 9 + i});
  GradientNorm norm = Make(/*bucket_bytes=*/600);
  ASSERT_GT(buffer_->buckets().size(), 1);
  double expected = 0;
  for (auto& p : owned_) expected += RowSquares(*p, 0, 7);
  EXPECT_NEAR(Compute(norm), expected, 1e-9 * expected);
  // Overwritten, not added to.
  EXPECT_NEAR(Compute(norm), expected, 1e-9 * expected);
}

TEST_F(GradientNormTest, CountsPrimarySlicesOnlyAndNoPadding) {
  Parameter& p = AddPieces(
      {10, 3}, {{0, 4, true}, {4, 2, false}, {6, 2, true}});  // 2 rows padded
  Parameter& q = AddPieces({4, 5}, {{0, 4, false}});
  GradientNorm norm = Make();
  EXPECT_GT(RowSquares(q, 0, 4), 0);
  const double expected = RowSquares(p, 0, 4) + RowSquares(p, 6, 2);
  EXPECT_NEAR(Compute(norm), expected, 1e-9 * expected);
  EXPECT_EQ(norm.ranges().size(), 2);
}

TEST_F(GradientNormTest, NeighboursAreOneKernel) {
  AddPieces({6, 3}, {{4, 2, true}, {0, 2, true}, {2, 2, true}});
  Add({5});
  Add({100});
  GradientNorm norm = Make();
  EXPECT_EQ(norm.ranges().size(), 1);
  test::CostRecorder recorder(test::TheDevice());
  Compute(norm);
  EXPECT_EQ(recorder.ops.size(), 1);
}

// Padding at the end of a parameter keeps its range apart from the next one.
TEST_F(GradientNormTest, PaddingIsNotAGap) {
  Parameter& last = Add({5});
  Parameter& first = AddPieces({64, 1}, {{0, 63, true}});
  GradientNorm norm = Make();
  EXPECT_EQ(buffer_->buckets()[0].parameters[0], &first);
  EXPECT_EQ(norm.ranges().size(), 2);
  const double expected = RowSquares(first, 0, 63) + RowSquares(last, 0, 5);
  EXPECT_NEAR(Compute(norm), expected, 1e-9 * expected);
}

// Nor do a replica's rows at the beginning of the next parameter join in.
TEST_F(GradientNormTest, LeadingReplicasAreLeftOut) {
  Parameter& last = AddPieces({6, 3}, {{0, 2, false}, {2, 4, true}});
  Parameter& first = Add({5, 3});
  GradientNorm norm = Make();
  EXPECT_EQ(norm.ranges().size(), 2);
  const double expected = RowSquares(first, 0, 5) + RowSquares(last, 2, 4);
  EXPECT_NEAR(Compute(norm), expected, 1e-9 * expected);
}

TEST_F(GradientNormTest, NothingPrimaryIsZero) {
  AddPieces({4, 5}, {{0, 4, false}});
  GradientNorm norm = Make();
  EXPECT_EQ(Compute(norm), 0);
}

TEST_F(GradientNormTest, ANonFiniteGradientShows) {
  Parameter& p = Add({4, 5});
  GradientNorm norm = Make();
  p.grad().data<float>()[7] = NAN;
  EXPECT_TRUE(std::isnan(Compute(norm)));
}

}  // namespace
}  // namespace eisbach::optim::gradient_norm_test
