#include "ops/elementwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::elementwise_test {
namespace {

using test::Clone;
using test::ExpectClose;
using test::FromValues;
using test::IsOk;
using test::MetaStream;
using test::Normal;
using test::StatusIs;
using test::TheStream;
using test::ToDoubles;
using test::Value;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<Shape> Shapes() {
  return {{1}, {7},       {8},       {9},       {31, 1},
          {0}, {3, 0, 2}, {2, 3, 5}, {64, 129}, {257, 259}};
}

TEST(Add, SumsElements) {
  for (DType dtype : test::kFloatDTypes) {
    for (const Shape& shape : Shapes()) {
      const Tensor a = Normal(shape, dtype, 1), b = Normal(shape, dtype, 2);
      const Tensor c = Value(ops::Add(a, b, TheStream()));
      std::vector<double> expected = ToDoubles(a);
      const std::vector<double> other = ToDoubles(b);
      for (size_t i = 0; i < expected.size(); ++i) expected[i] += other[i];
      ExpectClose(c, expected);
      EXPECT_EQ(c.shape(), shape);
      EXPECT_EQ(c.dtype(), dtype);
      EXPECT_THAT(ops::AddInPlace(a, b, TheStream()), IsOk());
      EXPECT_EQ(test::ToBytes(a), test::ToBytes(c));
    }
  }
}

TEST(Add, KeepsNaNAndInfinity) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor a = FromValues({4}, dtype, {kNaN, 1, kInf, kInf});
    const Tensor b = FromValues({4}, dtype, {1, kNaN, 1, -kInf});
    ExpectClose(Value(ops::Add(a, b, TheStream())), {kNaN, kNaN, kInf, kNaN});
  }
}

TEST(Add, DoesNotDependOnTheCut) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor a = Normal({257, 259}, dtype, 1);
    const Tensor b = Normal({257, 259}, dtype, 2);
    test::ExpectThreadInvariant([&] {
      return std::vector<Tensor>{Value(ops::Add(a, b, TheStream()))};
    });
  }
}

TEST(Elementwise, TakesOperandsAtAnyOffset) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor a = Normal({203}, dtype, 1), b = Normal({203}, dtype, 2);
    test::ExpectAnyAlignment(
        {a, b, Clone(a)}, [](const std::vector<Tensor>& t) {
          return ops::AddSlot().Run({t[0], t[1], t[2]}, {}, TheStream());
        });
    test::ExpectAnyAlignment({a}, [](const std::vector<Tensor>& t) {
      return ops::Scale(t[0], 0.5f, TheStream());
    });
  }
}

TEST(Add, NamesWhatDoesNotFit) {
  const Tensor a = Normal({2, 3}, DType::kF32, 1);
  EXPECT_THAT(ops::Add(a, Normal({3, 2}, DType::kF32, 1), TheStream()).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "add: b=f32[3, 2] on cpu must have the shape [2, 3]"));
  EXPECT_THAT(
      ops::Add(a, Normal({2, 3}, DType::kBF16, 1), TheStream()).status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "add: b=bf16[2, 3] on cpu must be f32"));
  EXPECT_THAT(
      ops::Add(Tensor(), a, TheStream()).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, "add: a is undefined"));
  EXPECT_THAT(ops::Add(Value(a.Transpose(0, 1)), a, TheStream()).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "contiguous"));
  EXPECT_THAT(ops::Add(a, a, MetaStream()).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "a is f32[2, 3] on cpu, the stream is on meta"));
}

TEST(Add, TellsItsCostOnMeta) {
  const Tensor a = test::Empty({2, 8}, DType::kBF16, test::Meta());
  const auto costs = test::MetaCosts(
      [&] { EXPECT_EQ(Value(ops::Add(a, a, MetaStream())).raw(), nullptr); });
  ASSERT_EQ(costs.size(), 1u);
  EXPECT_EQ(costs[0].first, "add");
  EXPECT_EQ(costs[0].second.flops, 16);
  EXPECT_EQ(costs[0].second.bytes_read, 64);
  EXPECT_EQ(costs[0].second.bytes_written, 32);
}

TEST(Scale, MultipliesInPlace) {
  for (DType dtype : test::kFloatDTypes) {
    for (const Shape& shape : Shapes()) {
      const Tensor x = Normal(shape, dtype, 3);
      std::vector<double> expected = ToDoubles(x);
      for (double& v : expected) v *= -1.5;
      EXPECT_THAT(ops::Scale(x, -1.5f, TheStream()), IsOk());
      ExpectClose(x, expected);
    }
  }
}

}  // namespace
}  // namespace eisbach::elementwise_test
