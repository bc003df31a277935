#include "ops/activation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::activation_test {
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

// (1 + tanh(u)) / 2 without cancellation.
double HalfOnePlusTanh(double u) { return 1.0 / (1.0 + std::exp(-2.0 * u)); }

double GeluInner(double x) {
  return std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
}
double Gelu(double x) { return x * HalfOnePlusTanh(GeluInner(x)); }
double GeluDerivative(double x) {
  const double s = HalfOnePlusTanh(GeluInner(x));
  const double slope =
      2.0 * std::sqrt(2.0 / std::numbers::pi) * (1.0 + 3.0 * 0.044715 * x * x);
  return s + x * s * HalfOnePlusTanh(-GeluInner(x)) * slope;
}
double Sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

std::vector<Shape> Shapes() {
  return {{1}, {7}, {8}, {0}, {2, 3, 5}, {33, 31}, {130, 257}};
}

TEST(Gelu, MatchesTheFormula) {
  for (DType dtype : test::kFloatDTypes) {
    for (const Shape& shape : Shapes()) {
      const Tensor x = Normal(shape, dtype, 1, 2.0);
      const Tensor dy = Normal(shape, dtype, 2);
      const std::vector<double> in = ToDoubles(x), g = ToDoubles(dy);
      std::vector<double> y, dx;
      for (size_t i = 0; i < in.size(); ++i) {
        y.push_back(Gelu(in[i]));
        dx.push_back(g[i] * GeluDerivative(in[i]));
      }
      ExpectClose(Value(ops::GeluForward(x, TheStream())), y);
      ExpectClose(Value(ops::GeluBackward(dy, x, TheStream())), dx);
    }
  }
}

// The relative error grows with the argument of the exponential, as that of
// any function computed from f32 must; 3e-7 where it is of order one.
TEST(Gelu, IsAccurateEverywhere) {
  constexpr int64_t kPoints = 200001;
  std::vector<double> x(kPoints);
  for (int64_t i = 0; i < kPoints; ++i) {
    x[i] = -6.0f + 18.0f * static_cast<float>(i) / kPoints;
  }
  const std::vector<double> y = ToDoubles(Value(
      ops::GeluForward(FromValues({kPoints}, DType::kF32, x), TheStream())));
  for (int64_t i = 0; i < kPoints; ++i) {
    const double v = x[i];
    const double expected = Gelu(v);
    const double z = 2 * std::abs(GeluInner(v));
    const double allowed = 3e-7 * (1 + (v < 0 ? z / 2 : 0));
    ASSERT_LE(std::abs(y[i] - expected), allowed * std::abs(expected)) << v;
  }
}

TEST(Gelu, HoldsAtTheEnds) {
  const Tensor x = FromValues({8}, DType::kF32,
                              {kNaN, kInf, 0, -0.0, 3e38, -3e38, 100, -100});
  ExpectClose(Value(ops::GeluForward(x, TheStream())),
              {kNaN, kInf, 0, 0, 3e38, 0, 100, 0});
  const Tensor one = FromValues({8}, DType::kF32, std::vector<double>(8, 1));
  ExpectClose(Value(ops::GeluBackward(one, x, TheStream())),
              {kNaN, 1, 0.5, 0.5, 1, 0, 1, 0});
  const Tensor nan = FromValues({8}, DType::kF32, std::vector<double>(8, kNaN));
  ExpectClose(Value(ops::GeluBackward(nan, one, TheStream())),
              std::vector<double>(8, kNaN));
}

TEST(Gelu, BackwardIsTheGradient) {
  const Tensor x = Normal({5, 9}, DType::kF32, 1);
  const Tensor dy = Normal({5, 9}, DType::kF32, 2);
  test::ExpectGradient(x, Value(ops::GeluBackward(dy, x, TheStream())), [&] {
    return test::Dot(Value(ops::GeluForward(x, TheStream())), dy);
  });
}

TEST(Gelu, DoesNotDependOnThreads) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor x = Normal({129, 131}, dtype, 1);
    const Tensor dy = Normal({129, 131}, dtype, 2);
    test::ExpectThreadInvariant([&] {
      return std::vector<Tensor>{Value(ops::GeluForward(x, TheStream())),
                                 Value(ops::GeluBackward(dy, x, TheStream()))};
    });
  }
}

TEST(Swiglu, MatchesTheFormula) {
  for (DType dtype : test::kFloatDTypes) {
    for (const Shape& shape : {Shape{2}, Shape{1, 14}, Shape{0, 4}, Shape{3, 0},
                               Shape{5, 16}, Shape{2, 3, 66}}) {
      const Tensor gate_up = Normal(shape, dtype, 1, 2.0);
      Shape half = shape;
      half.Set(-1, shape[-1] / 2);
      const Tensor dy = Normal(half, dtype, 2);
      const std::vector<double> in = ToDoubles(gate_up), g = ToDoubles(dy);
      const int64_t width = half[-1];
      std::vector<double> y(g.size()), dx(in.size());
      for (size_t i = 0; i < g.size(); ++i) {
        const size_t gate_at = i / width * 2 * width + i % width;
        const double gate = in[gate_at], up = in[gate_at + width];
        const double s = Sigmoid(gate);
        y[i] = gate * s * up;
        dx[gate_at] = g[i] * up * s * (1 + gate * (1 - s));
        dx[gate_at + width] = g[i] * gate * s;
      }
      const Tensor out = Value(ops::SwigluForward(gate_up, TheStream()));
      EXPECT_EQ(out.shape(), half);
      ExpectClose(out, y);
      ExpectClose(Value(ops::SwigluBackward(dy, gate_up, TheStream())), dx);
    }
  }
}

TEST(Geglu, MatchesTheFormula) {
  constexpr ops::Gate kGate = ops::Gate::kGelu;
  for (DType dtype : test::kFloatDTypes) {
    for (const Shape& shape : {Shape{2}, Shape{1, 14}, Shape{0, 4}, Shape{3, 0},
                               Shape{5, 16}, Shape{2, 3, 66}}) {
      const Tensor gate_up = Normal(shape, dtype, 1, 2.0);
      Shape half = shape;
      half.Set(-1, shape[-1] / 2);
      const Tensor dy = Normal(half, dtype, 2);
      const std::vector<double> in = ToDoubles(gate_up), g = ToDoubles(dy);
      const int64_t width = half[-1];
      std::vector<double> y(g.size()), dx(in.size());
      for (size_t i = 0; i < g.size(); ++i) {
        const size_t gate_at = i / width * 2 * width + i % width;
        const double gate = in[gate_at], up = in[gate_at + width];
        y[i] = Gelu(gate) * up;
        dx[gate_at] = g[i] * up * GeluDerivative(gate);
        dx[gate_at + width] = g[i] * Gelu(gate);
      }
      ExpectClose(Value(ops::SwigluForward(gate_up, TheStream(), kGate)), y);
      ExpectClose(Value(ops::SwigluBackward(dy, gate_up, TheStream(), kGate)),
                  dx);
    }
  }
  const Tensor gate_up = Normal({3, 22}, DType::kF32, 1);
  const Tensor dy = Normal({3, 11}, DType::kF32, 2);
  test::ExpectGradient(
      gate_up, Value(ops::SwigluBackward(dy, gate_up, TheStream(), kGate)),
      [&] {
        return test::Dot(Value(ops::SwigluForward(gate_up, TheStream(), kGate)),
                         dy);
      });
}

TEST(Swiglu, BackwardIsTheGradient) {
  const Tensor gate_up = Normal({3, 22}, DType::kF32, 1);
  const Tensor dy = Normal({3, 11}, DType::kF32, 2);
  test::ExpectGradient(
      gate_up, Value(ops::SwigluBackward(dy, gate_up, TheStream())), [&] {
        return test::Dot(Value(ops::SwigluForward(gate_up, TheStream())), dy);
      });
}

TEST(Swiglu, KeepsNaNAndHoldsAtTheEnds) {
  const Tensor x =
      FromValues({4, 2}, DType::kF32, {kNaN, 1, 1, kNaN, -1e30, 1, 1e30, 2});
  ExpectClose(Value(ops::SwigluForward(x, TheStream())), {kNaN, kNaN, 0, 2e30});
  const Tensor dy = FromValues({4, 1}, DType::kF32, {1, 1, 1, 1});
  ExpectClose(Value(ops::SwigluBackward(dy, x, TheStream())),
              {kNaN, kNaN, kNaN, Sigmoid(1), 0, 0, 2, 1e30});
}

TEST(Swiglu, DoesNotDependOnThreads) {
  const Tensor x = Normal({70, 2 * 131}, DType::kBF16, 1);
  const Tensor dy = Normal({70, 131}, DType::kBF16, 2);
  test::ExpectThreadInvariant([&] {
    return std::vector<Tensor>{Value(ops::SwigluForward(x, TheStream())),
                               Value(ops::SwigluBackward(dy, x, TheStream()))};
  });
}

TEST(Activation, TakesOperandsAtAnyOffset) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor x = Normal({3, 128}, dtype, 1), y = Empty({3, 128}, dtype),
                 dy = Normal({3, 128}, dtype, 2),
                 half = Normal({3, 64}, dtype, 3);
    test::ExpectAnyAlignment({x, y}, [](const std::vector<Tensor>& t) {
      return ops::GeluForwardSlot().Run({t[0], t[1]}, {}, TheStream());
    });
    test::ExpectAnyAlignment({dy, x, y}, [](const std::vector<Tensor>& t) {
      return ops::GeluBackwardSlot().Run({t[0], t[1], t[2]}, {}, TheStream());
    });
    test::ExpectAnyAlignment({x, half}, [](const std::vector<Tensor>& t) {
      return ops::SwigluForwardSlot().Run({t[0], t[1]}, {}, TheStream());
    });
    test::ExpectAnyAlignment({half, x, y}, [](const std::vector<Tensor>& t) {
      return ops::SwigluBackwardSlot().Run({t[0], t[1], t[2]}, {}, TheStream());
    });
  }
}

TEST(Activation, NamesWhatDoesNotFit) {
  EXPECT_THAT(
      ops::SwigluForward(Normal({2, 3}, DType::kF32, 1), TheStream()).status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "swiglu_forward: gate_up=f32[2, 3] on cpu must have "
               "an even last dimension"));
  EXPECT_THAT(
      ops::GeluForward(test::Indices({2}, DType::kI32, 4, 1), TheStream())
          .status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "gelu_forward: x: dtype i32 is not supported"));
  EXPECT_THAT(ops::GeluBackward(Normal({3}, DType::kF32, 1),
                                Normal({4}, DType::kF32, 1), TheStream())
                  .status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "dy=f32[3] on cpu must have the shape [4]"));
}

TEST(Activation, TellsItsCostOnMeta) {
  const Tensor x = Empty({4, 8}, DType::kBF16, test::Meta());
  const Tensor dy = Empty({4, 4}, DType::kBF16, test::Meta());
  const auto costs = test::MetaCosts([&] {
    EXPECT_EQ(Value(ops::SwigluForward(x, test::MetaStream())).shape(),
              (Shape{4, 4}));
    EXPECT_EQ(Value(ops::SwigluBackward(dy, x, test::MetaStream())).shape(),
              (Shape{4, 8}));
    EXPECT_EQ(Value(ops::GeluBackward(x, x, test::MetaStream())).shape(),
              (Shape{4, 8}));
  });
  ASSERT_EQ(costs.size(), 3u);
  EXPECT_EQ(costs[0].second.bytes_read, 64);
  EXPECT_EQ(costs[0].second.bytes_written, 32);
  EXPECT_EQ(costs[1].second.bytes_read, 96);
  EXPECT_EQ(costs[1].second.bytes_written, 64);
  EXPECT_EQ(costs[2].second.bytes_read, 128);
  for (const auto& [name, cost] : costs) EXPECT_GT(cost.flops, 0) << name;
}

}  // namespace
}  // namespace eisbach::activation_test
