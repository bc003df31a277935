#include "ops/reduce.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::reduce_test {
namespace {

using test::Empty;
using test::ExpectClose;
using test::FromValues;
using test::IsOk;
using test::Normal;
using test::StatusIs;
using test::TheStream;
using test::ToDoubles;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(ColumnSum, SumsRows) {
  for (DType dtype : test::kFloatDTypes) {
    for (const Shape& shape :
         {Shape{5}, Shape{1, 1}, Shape{33, 8}, Shape{2, 17, 9}, Shape{0, 3},
          Shape{4, 0}, Shape{100, 67}, Shape{31, 300}, Shape{300, 264},
          Shape{1001, 5}}) {
      const Tensor x = Normal(shape, dtype, 1);
      const int64_t width = shape[-1];
      const std::vector<double> values = ToDoubles(x);
      std::vector<double> expected(width, 0.0);
      for (size_t i = 0; i < values.size(); ++i) {
        expected[i % width] += values[i];
      }
      const Tensor out = Normal({width}, DType::kF32, 2);
      const double scale =
          10 + static_cast<double>(values.size()) / (10 * width + 1);
      EXPECT_THAT(ops::ColumnSum(x, false, out, TheStream()), IsOk());
      ExpectClose(out, expected, 1e-6, scale);
      EXPECT_THAT(ops::ColumnSum(x, true, out, TheStream()), IsOk());
      for (double& v : expected) v *= 2;
      ExpectClose(out, expected, 1e-6, 2 * scale);
    }
  }
}

TEST(ColumnSum, DoesNotDependOnThreads) {
  const Tensor x = Normal({1000, 130}, DType::kF32, 1);
  test::ExpectThreadInvariant([&] {
    const Tensor out = Empty({130}, DType::kF32);
    EXPECT_THAT(ops::ColumnSum(x, false, out, TheStream()), IsOk());
    return std::vector<Tensor>{out};
  });
}

TEST(ColumnSum, NamesWhatDoesNotFit) {
  EXPECT_THAT(ops::ColumnSum(Normal({2, 3}, DType::kF32, 1), false,
                             Empty({2}, DType::kF32), TheStream()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "column_sum: out=f32[2] on cpu must have the "
                       "shape [3]"));
}

TEST(Sum, AddsInDouble) {
  for (int64_t n : {0, 1, 3, 4, 5, 17, 8191, 8192, 8193, 100003, 300007}) {
    const Tensor x = Normal({n}, DType::kF32, 1);
    double sum = 0, squares = 0;
    for (double v : ToDoubles(x)) {
      sum += v;
      squares += v * v;
    }
    const Tensor out = Empty({1}, DType::kF64);
    EXPECT_THAT(ops::Sum(x, false, out, TheStream()), IsOk());
    ExpectClose(out, {sum}, 1e-12, 100);
    EXPECT_THAT(ops::SumOfSquares(x, true, out, TheStream()), IsOk());
    ExpectClose(out, {sum + squares}, 1e-12, 100);
    EXPECT_THAT(ops::SumOfSquares(x, false, out, TheStream()), IsOk());
    ExpectClose(out, {squares}, 1e-12, 100);
  }
}

TEST(Sum, DoesNotDependOnThreads) {
  const Tensor x = Normal({333, 1001}, DType::kF32, 1);
  test::ExpectThreadInvariant([&] {
    const Tensor out = Empty({1}, DType::kF64);
    EXPECT_THAT(ops::SumOfSquares(x, false, out, TheStream()), IsOk());
    return std::vector<Tensor>{out};
  });
}

TEST(Sum, KeepsNaN) {
  std::vector<double> values(100, 1.0);
  values[77] = kNaN;
  const Tensor out = Empty({1}, DType::kF64);
  EXPECT_THAT(ops::SumOfSquares(FromValues({100}, DType::kF32, values), false,
                                out, TheStream()),
              IsOk());
  EXPECT_TRUE(std::isnan(ToDoubles(out)[0]));
}

TEST(CountNonFinite, CountsNaNAndInfinity) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor out = Empty({1}, DType::kI64);
    const Tensor x = Normal({50021}, dtype, 1);
    EXPECT_THAT(ops::CountNonFinite(x, out, TheStream()), IsOk());
    EXPECT_EQ(ToDoubles(out)[0], 0);
    std::vector<double> values = ToDoubles(x);
    values[0] = kNaN;
    values[20] = kInf;
    values[30000] = -kInf;
    values[50020] = kNaN;
    test::Assign(x, values);
    EXPECT_THAT(ops::CountNonFinite(x, out, TheStream()), IsOk());
    EXPECT_EQ(ToDoubles(out)[0], 4);
    EXPECT_THAT(ops::CountNonFinite(Empty({0}, dtype), out, TheStream()),
                IsOk());
    EXPECT_EQ(ToDoubles(out)[0], 0);
  }
}

TEST(Reduce, TakesOperandsAtAnyOffset) {
  for (DType dtype : test::kFloatDTypes) {
    test::ExpectAnyAlignment(
        {Normal({5, 64}, dtype, 1), Normal({64}, DType::kF32, 2)},
        [](const std::vector<Tensor>& t) {
          return ops::ColumnSum(t[0], true, t[1], TheStream());
        });
    test::ExpectAnyAlignment(
        {FromValues({6}, dtype, {1, INFINITY, 3, NAN, 5, 6}),
         FromValues({1}, DType::kI64, {1})},
        [](const std::vector<Tensor>& t) {
          return ops::CountNonFinite(t[0], t[1], TheStream());
        });
  }
  test::ExpectAnyAlignment(
      {Normal({203}, DType::kF32, 1), FromValues({1}, DType::kF64, {1})},
      [](const std::vector<Tensor>& t) {
        return ops::SumOfSquares(t[0], true, t[1], TheStream());
      });
}

TEST(Reduce, TellsItsCostOnMeta) {
  Device& meta = test::Meta();
  const Tensor x = Empty({10, 4}, DType::kF32, meta);
  const auto costs = test::MetaCosts([&] {
    Stream& stream = test::MetaStream();
    EXPECT_THAT(ops::ColumnSum(x, true, Empty({4}, DType::kF32, meta), stream),
                IsOk());
    EXPECT_THAT(
        ops::SumOfSquares(x, false, Empty({1}, DType::kF64, meta), stream),
        IsOk());
  });
  ASSERT_EQ(costs.size(), 2u);
  EXPECT_EQ(costs[0].second.bytes_read, 176);
  EXPECT_EQ(costs[0].second.bytes_written, 16);
  EXPECT_EQ(costs[1].second.flops, 80);
}

}  // namespace
}  // namespace eisbach::reduce_test
