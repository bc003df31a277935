#include "autograd/functions/trained_rows.h"

#include "autograd/functions/cross_entropy.h"
#include "autograd/functions/embedding.h"
#include "ops/embedding.h"
#include "support/autograd_testing.h"

namespace eisbach::autograd::trained_rows_test {
namespace {

using test::TheStream;
using test::ToDoubles;
using test::Value;

constexpr int64_t kVocab = 9, kHidden = 5;

// A table of which rows 2, 3 and 7 are trained.
class TrainedRowsTest : public ::testing::Test {
 protected:
  TrainedRowsTest() {
    parameters_.Bind();
    table_.mutable_spec().training.frozen = true;
    rows_ = {&weight_, {{0, 2, 2}, {2, 7, 1}}};
  }

  // The table with the rows in their places.
  Tensor Effective() const {
    std::vector<double> values = ToDoubles(table_.data());
    const std::vector<double> trained = ToDoubles(weight_.data());
    for (const TrainedRows::Run& run : rows_.runs) {
      std::copy_n(trained.begin() + run.row * kHidden, run.count * kHidden,
                  values.begin() + run.table_row * kHidden);
    }
    return test::FromValues({kVocab, kHidden}, DType::kF32, values);
  }

  test::TestParameters parameters_;
  Parameter& table_ = parameters_.Add({kVocab, kHidden});
  Parameter& weight_ = parameters_.Add({3, kHidden});
  TrainedRows rows_;
};

TEST_F(TrainedRowsTest, StandInTheTableWhileTheyAreInPlace) {
  const std::vector<double> before = ToDoubles(table_.data());
  {
    RowsInPlace placed = Value(RowsInPlace::Put(&rows_, table_, TheStream()));
    EXPECT_EQ(ToDoubles(table_.data()), ToDoubles(Effective()));
    const RowsInPlace moved = std::move(placed);
    EISBACH_EXPECT_OK(placed.TakeOut());  // the other has them now
    EXPECT_NE(ToDoubles(table_.data()), before);
  }
  EXPECT_EQ(ToDoubles(table_.data()), before);
  Value(RowsInPlace::Put(nullptr, table_, TheStream()));
  EXPECT_EQ(ToDoubles(table_.data()), before);
}

TEST_F(TrainedRowsTest, OfAnEmbeddingHaveTheGradientOfItsForward) {
  const Tensor ids = test::Indices({3, 6}, DType::kI32, kVocab, 1);
  const auto f = [&](const Tensor&) {
    return Embedding(ids, table_, /*first_row=*/0, kVocab, TheStream(), &rows_);
  };
  const Tensor nothing = test::FromValues({1}, DType::kF32, {0});
  EXPECT_EQ(ToDoubles(Value(f(nothing))),
            ToDoubles(Value(ops::EmbeddingForward(ids, Effective(), 0, kVocab,
                                                  TheStream()))));
  test::CheckGradients(f, nothing, {&weight_});
  test::CheckAccumulation(f, nothing, {&weight_});
}

// A shard that has the last row alone: of the others it gives zeros.
TEST_F(TrainedRowsTest, OfAShardGiveTheirOwnGradient) {
  const Tensor ids = test::FromValues({1, 3}, DType::kI32, {2, 7, 7});
  const TrainedRows own{&weight_, {{2, 1, 1}}};
  const Tensor dy = test::Normal({1, 3, kHidden}, DType::kF32, 4);
  EISBACH_ASSERT_OK(
      AddEmbeddingGradient(own, dy, ids, /*first_row=*/6, kVocab, TheStream()));
  const std::vector<double> given = ToDoubles(dy);
  std::vector<double> want(3 * kHidden, 0.0);
  for (int64_t i = 0; i < kHidden; ++i) {
    want[2 * kHidden + i] = given[kHidden + i] + given[2 * kHidden + i];
  }
  test::ExpectClose(weight_.grad(), want);
}

TEST_F(TrainedRowsTest, OfAHeadHaveTheGradientOfItsForward) {
  const Tensor x = test::Normal({2, 3, kHidden}, DType::kF32, 3);
  const Tensor targets = test::Indices({2, 3}, DType::kI32, kVocab, 2);
  for (const double cap : {0.0, 2.0}) {
    for (const int64_t chunk : {1, 4, 100}) {  // in rows
      const auto f = [&](const Tensor& in) {
        return LinearCrossEntropy(in, table_, targets, WholeVocabulary(kVocab),
                                  {0.5f}, TheStream(), chunk * (kVocab * 4 + 1),
                                  cap, &rows_);
      };
      parameters_.Reset();
      const Tensor dx =
          test::Gradient(f, x, test::FromValues({1}, DType::kF64, {1}));
      const auto loss = [&] { return ToDoubles(Value(f(x)))[0]; };
      test::ExpectGradient(weight_.data(), weight_.grad(), loss);
      test::ExpectGradient(x, dx, loss);
    }
  }
}

}  // namespace
}  // namespace eisbach::autograd::trained_rows_test
