#include "ops/softmax.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::softmax_test {
namespace {

using test::Empty;
using test::ExpectClose;
using test::FromValues;
using test::Normal;
using test::StatusIs;
using test::TheStream;
using test::ToDoubles;
using test::Value;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::vector<double> Softmax(const std::vector<double>& x, int64_t width) {
  std::vector<double> y(x.size());
  for (size_t row = 0; row < x.size(); row += width) {
    const double max =
        *std::max_element(x.begin() + row, x.begin() + row + width);
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += std::exp(x[row + i] - max);
    for (int64_t i = 0; i < width; ++i) {
      y[row + i] = std::exp(x[row + i] - max) / sum;
    }
  }
  return y;
}

TEST(Softmax, MatchesTheFormula) {
  for (DType dtype : test::kFloatDTypes) {
    for (const Shape& shape :
         {Shape{1}, Shape{5}, Shape{3, 8}, Shape{0, 4}, Shape{2, 0},
          Shape{2, 3, 33}, Shape{7, 1000}, Shape{3, 2501}, Shape{2, 33000}}) {
      const Tensor x = Normal(shape, dtype, 1, 3.0);
      const Tensor y = Value(ops::SoftmaxForward(x, TheStream()));
      const int64_t width = shape[-1];
      ExpectClose(y, Softmax(ToDoubles(x), width));
      const Tensor dy = Normal(shape, dtype, 2);
      const std::vector<double> g = ToDoubles(dy), p = ToDoubles(y);
      std::vector<double> dx(g.size());
      for (size_t row = 0; row < g.size(); row += width) {
        double dot = 0;
        for (int64_t i = 0; i < width; ++i) dot += g[row + i] * p[row + i];
        for (int64_t i = 0; i < width; ++i) {
          dx[row + i] = p[row + i] * (g[row + i] - dot);
        }
      }
      ExpectClose(Value(ops::SoftmaxBackward(dy, y, TheStream())), dx);
    }
  }
}

TEST(Softmax, BackwardIsTheGradient) {
  const Tensor x = Normal({4, 9}, DType::kF32, 1);
  const Tensor dy = Normal({4, 9}, DType::kF32, 2);
  const Tensor y = Value(ops::SoftmaxForward(x, TheStream()));
  test::ExpectGradient(x, Value(ops::SoftmaxBackward(dy, y, TheStream())), [&] {
    return test::Dot(Value(ops::SoftmaxForward(x, TheStream())), dy);
  });
}

TEST(Softmax, HoldsAtTheEnds) {
  const Tensor x = FromValues({3, 3}, DType::kF32,
                              {1e4, -1e4, -kInf, 0, kNaN, 0, 80, 80, -200});
  ExpectClose(Value(ops::SoftmaxForward(x, TheStream())),
              {1, 0, 0, kNaN, kNaN, kNaN, 0.5, 0.5, 0});
  // A NaN in any lane, body or tail, makes the row NaN.
  for (int at = 0; at < 37; ++at) {
    std::vector<double> row(37, 0.5);
    row[at] = kNaN;
    ExpectClose(Value(ops::SoftmaxForward(FromValues({37}, DType::kF32, row),
                                          TheStream())),
                std::vector<double>(37, kNaN));
  }
}

TEST(Softmax, DoesNotDependOnThreads) {
  const Tensor x = Normal({200, 77}, DType::kF32, 1);
  const Tensor dy = Normal({200, 77}, DType::kF32, 2);
  test::ExpectThreadInvariant([&] {
    const Tensor y = Value(ops::SoftmaxForward(x, TheStream()));
    return std::vector<Tensor>{y,
                               Value(ops::SoftmaxBackward(dy, y, TheStream()))};
  });
}

TEST(Softmax, TakesOperandsAtAnyOffset) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor a = Normal({3, 64}, dtype, 1), b = Normal({3, 64}, dtype, 2),
                 c = Empty({3, 64}, dtype);
    test::ExpectAnyAlignment({a, c}, [](const std::vector<Tensor>& t) {
      return ops::SoftmaxForwardSlot().Run({t[0], t[1]}, {}, TheStream());
    });
    test::ExpectAnyAlignment({a, b, c}, [](const std::vector<Tensor>& t) {
      return ops::SoftmaxBackwardSlot().Run({t[0], t[1], t[2]}, {},
                                            TheStream());
    });
  }
}

TEST(Softmax, NamesWhatDoesNotFit) {
  EXPECT_THAT(
      ops::SoftmaxForward(Normal({}, DType::kF32, 1), TheStream()).status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "must have at least 1 dimension"));
}

TEST(Softmax, TellsItsCostOnMeta) {
  const Tensor x = Empty({4, 8}, DType::kBF16, test::Meta());
  const auto costs = test::MetaCosts([&] {
    EXPECT_EQ(Value(ops::SoftmaxForward(x, test::MetaStream())).shape(),
              x.shape());
    EXPECT_EQ(Value(ops::SoftmaxBackward(x, x, test::MetaStream())).shape(),
              x.shape());
  });
  ASSERT_EQ(costs.size(), 2u);
  EXPECT_EQ(costs[0].second.bytes_read, 64);
  EXPECT_EQ(costs[1].second.bytes_read, 128);
}

}  // namespace
}  // namespace eisbach::softmax_test
