#include "ops/xielu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::xielu_test {
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
constexpr double kEps = ops::kXieluEps;

double Softplus(double x) { return std::log1p(std::exp(x)); }
double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Reference {
  std::vector<double> y, dx;
  double dp = 0, dn = 0;
};

Reference Compute(const std::vector<double>& x, const std::vector<double>& dy,
                  double alpha_p, double alpha_n) {
  const double p = Softplus(alpha_p), n = 0.5 + Softplus(alpha_n);
  Reference r;
  for (size_t i = 0; i < x.size(); ++i) {
    const double v = x[i];
    if (v > 0) {
      r.y.push_back(p * v * v + 0.5 * v);
      r.dx.push_back(dy[i] * (2 * p * v + 0.5));
      r.dp += dy[i] * v * v * Sigmoid(alpha_p);
    } else {
      const double part = std::expm1(std::min(v, kEps)) - v;
      r.y.push_back(n * part + 0.5 * v);
      const double slope = std::expm1(std::min(v, kEps));
      r.dx.push_back(dy[i] * (n * slope + 0.5));
      r.dn += dy[i] * part * Sigmoid(alpha_n);
    }
  }
  return r;
}

TEST(Xielu, MatchesTheFormula) {
  for (DType dtype : test::kFloatDTypes) {
    for (const Shape& shape : {Shape{1}, Shape{7}, Shape{0}, Shape{2, 3, 5},
                               Shape{33, 31}, Shape{130, 257}}) {
      const Tensor x = Normal(shape, dtype, 1, 2.0);
      const Tensor dy = Normal(shape, dtype, 2);
      const Tensor p = FromValues({1}, dtype, {0.5});
      const Tensor n = FromValues({1}, dtype, {-1.25});
      const Reference r = Compute(ToDoubles(x), ToDoubles(dy), 0.5, -1.25);
      ExpectClose(Value(ops::XieluForward(x, p, n, TheStream())), r.y);
      const Tensor dp = FromValues({1}, DType::kF32, {kNaN});
      const Tensor dn = FromValues({1}, DType::kF32, {kNaN});
      const double size = 4 * std::sqrt(static_cast<double>(x.elements())) + 1;
      for (int times : {1, 2}) {
        ExpectClose(Value(ops::XieluBackward(dy, x, p, n, times == 2, dp, dn,
                                             TheStream())),
                    r.dx);
        ExpectClose(dp, {times * r.dp}, 2e-6, size);
        ExpectClose(dn, {times * r.dn}, 2e-6, size);
      }
    }
  }
}

// Near 0, where the curve is the difference of nearly equal numbers, and far.
TEST(Xielu, IsAccurateEverywhere) {
  std::vector<double> x;
  for (double v = 1e-5; v < 60; v *= 1.01) {
    x.push_back(static_cast<float>(v));
    x.push_back(static_cast<float>(-v));
  }
  x.insert(x.end(), {0.0, -0.49999997, -0.5, -0.50000006, -200, -1e30});
  const auto size = static_cast<int64_t>(x.size());
  const Tensor p = FromValues({1}, DType::kF32, {0.5});
  const Tensor n = FromValues({1}, DType::kF32, {-1.25});
  const std::vector<double> one(x.size(), 1);
  const Reference r = Compute(x, one, 0.5, -1.25);
  const std::vector<double> y = ToDoubles(Value(ops::XieluForward(
      FromValues({size}, DType::kF32, x), p, n, TheStream())));
  for (size_t i = 0; i < x.size(); ++i) {
    // Both terms of a negative x may be larger than their sum.
    const double largest = std::max(std::abs(r.y[i]), std::abs(x[i]));
    EXPECT_LE(std::abs(y[i] - r.y[i]), 4e-7 * largest) << x[i];
  }
}

TEST(Xielu, BackwardIsTheGradient) {
  const Tensor x = Normal({5, 9}, DType::kF32, 1);
  const Tensor dy = Normal({5, 9}, DType::kF32, 2);
  const Tensor p = FromValues({1}, DType::kF32, {0.5});
  const Tensor n = FromValues({1}, DType::kF32, {-1.25});
  const Tensor dp = Empty({1}, DType::kF32), dn = Empty({1}, DType::kF32);
  const auto loss = [&] {
    return test::Dot(Value(ops::XieluForward(x, p, n, TheStream())), dy);
  };
  const Tensor dx =
      Value(ops::XieluBackward(dy, x, p, n, false, dp, dn, TheStream()));
  test::ExpectGradient(x, dx, loss);
  test::ExpectGradient(p, dp, loss);
  test::ExpectGradient(n, dn, loss);
}

TEST(Xielu, KeepsNaN) {
  const Tensor x = FromValues({3}, DType::kF32, {kNaN, 1, -1});
  const Tensor dy = FromValues({3}, DType::kF32, {1, 1, 1});
  const Tensor p = FromValues({1}, DType::kF32, {0.5});
  const Tensor dp = Empty({1}, DType::kF32), dn = Empty({1}, DType::kF32);
  EXPECT_TRUE(
      std::isnan(ToDoubles(Value(ops::XieluForward(x, p, p, TheStream())))[0]));
  const std::vector<double> dx = ToDoubles(
      Value(ops::XieluBackward(dy, x, p, p, false, dp, dn, TheStream())));
  EXPECT_TRUE(std::isnan(dx[0]));
  EXPECT_FALSE(std::isnan(dx[1]));
  EXPECT_TRUE(std::isnan(ToDoubles(dn)[0]));
}

TEST(Xielu, DoesNotDependOnThreads) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor x = Normal({129, 131}, dtype, 1);
    const Tensor dy = Normal({129, 131}, dtype, 2);
    const Tensor p = FromValues({1}, dtype, {0.5});
    test::ExpectThreadInvariant([&] {
      const Tensor dp = Empty({1}, DType::kF32), dn = Empty({1}, DType::kF32);
      const Tensor dx =
          Value(ops::XieluBackward(dy, x, p, p, false, dp, dn, TheStream()));
      return std::vector<Tensor>{Value(ops::XieluForward(x, p, p, TheStream())),
                                 dx, dp, dn};
    });
  }
}

TEST(Xielu, TakesOperandsAtAnyOffset) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor x = Normal({3, 128}, dtype, 1), y = Empty({3, 128}, dtype),
                 dy = Normal({3, 128}, dtype, 2),
                 p = FromValues({1}, dtype, {0.5});
    const Tensor dp = Empty({1}, DType::kF32), dn = Empty({1}, DType::kF32);
    test::ExpectAnyAlignment({x, y}, [&](const std::vector<Tensor>& t) {
      return ops::XieluForwardSlot().Run({t[0], p, p, t[1]}, {}, TheStream());
    });
    test::ExpectAnyAlignment({dy, x, y}, [&](const std::vector<Tensor>& t) {
      return ops::XieluBackwardSlot().Run(
          {t[0], t[1], p, p, false, dp, dn, t[2]}, {}, TheStream());
    });
  }
}

TEST(Xielu, NamesWhatDoesNotFit) {
  const Tensor x = Normal({3}, DType::kF32, 1);
  const Tensor p = FromValues({1}, DType::kF32, {0.5});
  const Tensor two = Empty({2}, DType::kF32);
  EXPECT_THAT(ops::XieluForward(x, two, p, TheStream()).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "alpha_p"));
  EXPECT_THAT(
      ops::XieluBackward(p, x, p, p, false, p, p, TheStream()).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, "must have the shape [3]"));
}

TEST(Xielu, TellsItsCostOnMeta) {
  const auto empty = [](const Shape& shape, DType dtype) {
    return Empty(shape, dtype, test::Meta());
  };
  const Tensor x = empty({4, 8}, DType::kBF16), p = empty({1}, DType::kBF16);
  const Tensor sum = empty({1}, DType::kF32);
  const auto costs = test::MetaCosts([&] {
    Value(ops::XieluForward(x, p, p, test::MetaStream()));
    Value(ops::XieluBackward(x, x, p, p, false, sum, sum, test::MetaStream()));
  });
  ASSERT_EQ(costs.size(), 2u);
  EXPECT_EQ(costs[0].second.bytes_read, 64);
  EXPECT_EQ(costs[1].second.bytes_read, 128);
  for (const auto& [name, cost] : costs) EXPECT_GT(cost.flops, 0) << name;
}

}  // namespace
}  // namespace eisbach::xielu_test
