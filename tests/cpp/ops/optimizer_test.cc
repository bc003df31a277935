#include "ops/optimizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::optimizer_test {
namespace {

using test::Clone;
using test::Empty;
using test::ExpectClose;
using test::FromValues;
using test::IsOk;
using test::Normal;
using test::StatusIs;
using test::TheStream;
using test::ToDoubles;

Tensor StepState(double lr, double factor, double finite, double c1,
                 double c2) {
  std::vector<double> values(ops::kStepStateSize);
  values[ops::kLearningRate] = lr;
  values[ops::kGradientFactor] = factor;
  values[ops::kFinite] = finite;
  values[ops::kBiasCorrection1] = c1;
  values[ops::kBiasCorrection2] = c2;
  values[ops::kLossScale] = 1;
  return FromValues({ops::kStepStateSize}, DType::kF32, values);
}

// A flat range with its state; `data` has its own storage.
struct Range {
  explicit Range(int64_t n, DType dtype = DType::kF32)
      : master(Normal({n}, DType::kF32, 1)),
        grad(Normal({n}, DType::kF32, 2)),
        m(Normal({n}, DType::kF32, 3)),
        v(Normal({n}, DType::kF32, 4)),
        data(Empty({n}, dtype)) {
    std::vector<double> squares = ToDoubles(v);
    for (double& square : squares) square = std::abs(square);
    test::Assign(v, squares);
  }
  Tensor master, grad, m, v, data;
  double beta1 = 0.9, beta2 = 0.95;
  float rate_factor = 1;

  absl::Status AdamW(const Tensor& state,
                     const ops::StochasticRounding* rounding = nullptr) const {
    return ops::AdamW({.master = master,
                       .grad = grad,
                       .m = m,
                       .v = v,
                       .data = data,
                       .step_state = state,
                       .beta1 = beta1,
                       .beta2 = beta2,
                       .eps = 1e-8f,
                       .weight_decay = 0.1f,
                       .rate_factor = rate_factor,
                       .rounding = rounding},
                      TheStream());
  }
  absl::Status Sgd(const Tensor& state, double momentum) const {
    return ops::Sgd({.master = master,
                     .grad = grad,
                     .m = momentum > 0 ? &m : nullptr,
                     .data = data,
                     .step_state = state,
                     .momentum = momentum,
                     .weight_decay = 0.1f,
                     .rate_factor = rate_factor},
                    TheStream());
  }
};

TEST(AdamW, MatchesTheFormula) {
  constexpr double kLr = 0.01, kFactor = 0.5, kC1 = 0.19, kC2 = 0.0975;
  const Tensor state = StepState(kLr / 4, kFactor, 1, kC1, kC2);
  for (DType dtype : test::kFloatDTypes) {
    for (int64_t n : {0, 1, 7, 8, 9, 1000}) {
      Range range(n, dtype);
      range.rate_factor = 4;
      std::vector<double> w = ToDoubles(range.master), m = ToDoubles(range.m),
                          v = ToDoubles(range.v);
      const std::vector<double> grad = ToDoubles(range.grad);
      for (int64_t i = 0; i < n; ++i) {
        const double g = kFactor * grad[i];
        m[i] = 0.9 * m[i] + 0.1 * g;
        v[i] = 0.95 * v[i] + 0.05 * g * g;
        w[i] -=
            kLr * (m[i] / kC1 / (std::sqrt(v[i] / kC2) + 1e-8) + 0.1 * w[i]);
      }
      EXPECT_THAT(range.AdamW(state), IsOk());
      ExpectClose(range.m, m, 5e-7);
      ExpectClose(range.v, v, 5e-7);
      ExpectClose(range.master, w, 5e-7);
      ExpectClose(range.data, ToDoubles(range.master), test::Tolerance(dtype));
      EXPECT_EQ(ToDoubles(range.grad), grad);
    }
  }
}

// Decays next to 1, of which a float keeps little or nothing, from moments of
// zero through steps enough to see them forget.
TEST(AdamW, FollowsTheFormulaForDecaysNearOne) {
  constexpr int64_t kElements = 67;
  constexpr double kLr = 0.01;
  for (double beta : {0.0, 0.5, 0.999, 0.9999, 0.99999999}) {
    SCOPED_TRACE(beta);
    Range range(kElements);
    range.beta1 = range.beta2 = beta;
    std::vector<double> w = ToDoubles(range.master), m(kElements), v(kElements);
    test::Assign(range.m, m);
    test::Assign(range.v, v);
    for (int step = 1; step <= 300; ++step) {
      // 1 - beta^step without cancellation
      const double c = -std::expm1(step * std::log1p(-(1 - beta)));
      const std::vector<double> grad = test::NormalValues(kElements, step);
      test::Assign(range.grad, grad);
      for (int64_t i = 0; i < kElements; ++i) {
        const double g = static_cast<float>(grad[i]);
        m[i] = beta * m[i] + (1 - beta) * g;
        v[i] = beta * v[i] + (1 - beta) * g * g;
        w[i] -= kLr * (m[i] / c / (std::sqrt(v[i] / c) + 1e-8) + 0.1 * w[i]);
      }
      ASSERT_THAT(range.AdamW(StepState(kLr, 1, 1, c, c)), IsOk());
    }
    ExpectClose(range.v, v, 1e-6, 0);
    ExpectClose(range.m, m, 1e-6, *std::max_element(m.begin(), m.end()));
    ExpectClose(range.master, w, 3e-6);
  }
}

// What a decay forgets is what it takes in, so that a constant gradient is the
// moment's fixed point: to one rounding, for any decay.
TEST(AdamW, MomentsOfAConstantGradientStay) {
  for (double beta : {0.9, 0.999, 0.9999, 0.99999999}) {
    SCOPED_TRACE(beta);
    Range range(64);
    range.beta1 = range.beta2 = beta;
    const std::vector<double> grad = ToDoubles(range.grad);
    std::vector<double> squares = grad;
    for (double& g : squares) g *= g;
    test::Assign(range.m, grad);
    test::Assign(range.v, squares);
    for (int step = 0; step < 2000; ++step) {
      ASSERT_THAT(range.AdamW(StepState(0.01, 1, 1, 1, 1)), IsOk());
    }
    ExpectClose(range.m, grad, 2e-6);
    ExpectClose(range.v, squares, 2e-6);
  }
}

TEST(AdamW, WorksOnTheMasterItself) {
  const Tensor state = StepState(0.01, 1, 1, 0.1, 0.05);
  Range apart(100), shared(100);
  shared.data = shared.master;
  EXPECT_THAT(apart.AdamW(state), IsOk());
  EXPECT_THAT(shared.AdamW(state), IsOk());
  EXPECT_EQ(ToDoubles(shared.master), ToDoubles(apart.master));
  EXPECT_EQ(ToDoubles(apart.data), ToDoubles(apart.master));
}

// Ranges are cut where buckets end: an element must not notice.
TEST(AdamW, DoesNotDependOnTheCut) {
  const Tensor state = StepState(0.01, 0.7, 1, 0.1, 0.05);
  const Range whole(1003, DType::kBF16), parts(1003, DType::kBF16);
  EXPECT_THAT(whole.AdamW(state), IsOk());
  for (int64_t begin = 0; begin < 1003; begin += 59) {
    const int64_t n = std::min<int64_t>(59, 1003 - begin);
    Range part(0, DType::kBF16);
    const auto cut = [&](const Tensor& t) {
      return test::Value(t.Narrow(0, begin, n));
    };
    part.master = cut(parts.master);
    part.grad = cut(parts.grad);
    part.m = cut(parts.m);
    part.v = cut(parts.v);
    part.data = cut(parts.data);
    EXPECT_THAT(part.AdamW(state), IsOk());
  }
  EXPECT_EQ(test::ToBytes(whole.master), test::ToBytes(parts.master));
  EXPECT_EQ(test::ToBytes(whole.v), test::ToBytes(parts.v));
  EXPECT_EQ(test::ToBytes(whole.data), test::ToBytes(parts.data));
}

// The master is the same; the copy is the master, rounded by the op.
TEST(AdamW, RoundsAtRandomWhenAsked) {
  const Tensor state = StepState(0.01, 0.7, 1, 0.1, 0.05);
  const Tensor step = FromValues({1}, DType::kI64, {7});
  for (int64_t n : {0, 1, 9, 1003}) {
    for (int64_t first : {0, 64, 67}) {
      const ops::StochasticRounding rounding = {step, 5, first};
      const Range random(n, DType::kBF16), nearest(n, DType::kBF16);
      EXPECT_THAT(random.AdamW(state, &rounding), IsOk());
      EXPECT_THAT(nearest.AdamW(state), IsOk());
      EXPECT_EQ(test::ToBytes(random.master), test::ToBytes(nearest.master));
      EXPECT_EQ(test::ToBytes(random.v), test::ToBytes(nearest.v));
      const Tensor want = Empty({n}, DType::kBF16);
      EXPECT_THAT(
          ops::RoundStochastically(random.master, want, rounding, TheStream()),
          IsOk());
      EXPECT_EQ(test::ToBytes(random.data), test::ToBytes(want));
      if (n < 1000) continue;
      EXPECT_NE(test::ToBytes(random.data), test::ToBytes(nearest.data));
    }
  }
}

TEST(AdamW, RoundsAtRandomWhateverTheCut) {
  constexpr int64_t kElements = 1003, kPiece = 59;
  const Tensor state = StepState(0.01, 0.7, 1, 0.1, 0.05);
  const Tensor step = FromValues({1}, DType::kI64, {7});
  const Range whole(kElements, DType::kBF16), parts(kElements, DType::kBF16);
  const ops::StochasticRounding rounding = {step, 5, 128};
  EXPECT_THAT(whole.AdamW(state, &rounding), IsOk());
  for (int64_t begin = 0; begin < kElements; begin += kPiece) {
    const auto cut = [&](const Tensor& t) {
      return test::Value(
          t.Narrow(0, begin, std::min(kPiece, kElements - begin)));
    };
    Range part(0, DType::kBF16);
    part.master = cut(parts.master);
    part.grad = cut(parts.grad);
    part.m = cut(parts.m);
    part.v = cut(parts.v);
    part.data = cut(parts.data);
    const ops::StochasticRounding there = {step, 5, 128 + begin};
    EXPECT_THAT(part.AdamW(state, &there), IsOk());
  }
  EXPECT_EQ(test::ToBytes(whole.data), test::ToBytes(parts.data));
}

// In groups of four, and in the elements beside them.
TEST(Optimizer, DoesNothingWhenNotFinite) {
  const Tensor state = StepState(0.01, 0, 0, 0.1, 0.05);
  const Tensor step = FromValues({1}, DType::kI64, {1});
  const ops::StochasticRounding rounding = {step, 5, 0};
  for (int64_t n : {3, 20, 23}) {
    const Range range(n, DType::kBF16), before(n);
    test::Assign(range.data, std::vector<double>(n, 7));
    EXPECT_THAT(range.AdamW(state), IsOk());
    EXPECT_THAT(range.AdamW(state, &rounding), IsOk());
    EXPECT_THAT(range.Sgd(state, 0.9f), IsOk());
    EXPECT_EQ(test::ToBytes(range.master), test::ToBytes(before.master)) << n;
    EXPECT_EQ(test::ToBytes(range.m), test::ToBytes(before.m)) << n;
    EXPECT_EQ(test::ToBytes(range.v), test::ToBytes(before.v)) << n;
    EXPECT_EQ(ToDoubles(range.data), std::vector<double>(n, 7)) << n;
  }
}

TEST(Sgd, MatchesTheFormula) {
  constexpr double kLr = 0.05, kFactor = 0.5;
  const Tensor state = StepState(kLr / 4, kFactor, 1, 1, 1);
  for (double momentum : {0.0, 0.9}) {
    for (int64_t n : {0, 1, 9, 500}) {
      Range range(n, DType::kBF16);
      range.rate_factor = 4;
      std::vector<double> w = ToDoubles(range.master), m = ToDoubles(range.m);
      const std::vector<double> grad = ToDoubles(range.grad);
      for (int64_t i = 0; i < n; ++i) {
        double g = kFactor * grad[i] + 0.1 * w[i];
        if (momentum > 0) g = m[i] = momentum * m[i] + g;
        w[i] -= kLr * g;
      }
      EXPECT_THAT(range.Sgd(state, momentum), IsOk());
      ExpectClose(range.master, w, 5e-7);
      ExpectClose(range.m, m, 5e-7);
      ExpectClose(range.data, ToDoubles(range.master), 4e-3, 1e-6);
    }
  }
}

// As for AdamW: a float of 0.9999 would have another fixed point.
TEST(Sgd, TheVelocityOfAConstantGradientStays) {
  constexpr double kMomentum = 0.9999;
  const Range range(33);
  test::Assign(range.master, std::vector<double>(33));
  std::vector<double> velocity = ToDoubles(range.grad);
  for (double& g : velocity) g /= 1 - kMomentum;
  test::Assign(range.m, velocity);
  const Tensor state = StepState(0, 1, 1, 1, 1);
  for (int step = 0; step < 2000; ++step) {
    ASSERT_THAT(range.Sgd(state, kMomentum), IsOk());
  }
  ExpectClose(range.m, velocity, 2e-6, 0);
}

TEST(Optimizer, DoesNotDependOnThreads) {
  const Tensor state = StepState(0.01, 0.7, 1, 0.1, 0.05);
  test::ExpectThreadInvariant([&] {
    const Range adam(40001, DType::kBF16), sgd(40001, DType::kF32);
    EXPECT_THAT(adam.AdamW(state), IsOk());
    EXPECT_THAT(sgd.Sgd(state, 0.9f), IsOk());
    return std::vector<Tensor>{adam.master, adam.data, sgd.master, sgd.m};
  });
}

TEST(ClipFactor, FollowsTheNorm) {
  const double kNaN = std::numeric_limits<double>::quiet_NaN();
  const double kInf = std::numeric_limits<double>::infinity();
  struct {
    double norm_squared;
    float max_norm;
    double factor, finite;
  } cases[] = {{0.25, 1.0f, 1, 1}, {16, 1.0f, 0.25, 1}, {16, 0.0f, 1, 1},
               {0, 1.0f, 1, 1},    {kNaN, 1.0f, 0, 0},  {kInf, 1.0f, 0, 0},
               {kNaN, 0.0f, 0, 0}};
  for (const auto& c : cases) {
    for (const double before : {1.0, 0.0}) {
      const Tensor state = StepState(0.5, 9, before, 0.1, 0.2);
      EXPECT_THAT(
          ops::ClipFactor(FromValues({1}, DType::kF64, {c.norm_squared}),
                          c.max_norm, {}, state, TheStream()),
          IsOk());
      ExpectClose(state,
                  ToDoubles(StepState(0.5, c.factor, std::min(c.finite, before),
                                      0.1, 0.2)),
                  1e-6);
    }
  }
}

// The norm is that of the gradient without the scale, and the factor takes it
// out.
TEST(ClipFactor, TakesTheLossScaleOut) {
  struct {
    double norm_squared;
    float max_norm;
    double factor, finite;
  } cases[] = {{16, 1.0f, 1.0 / 8, 1},     // a norm of 0.5
               {1024, 1.0f, 1.0 / 32, 1},  // of 4
               {1024, 0.0f, 1.0 / 8, 1},
               {std::numeric_limits<double>::infinity(), 1.0f, 0, 0}};
  for (const auto& c : cases) {
    std::vector<double> values = ToDoubles(StepState(0.5, 9, 1, 0.1, 0.2));
    values[ops::kLossScale] = 8;
    values[ops::kGoodSteps] = 3;
    const Tensor state = FromValues({ops::kStepStateSize}, DType::kF32, values);
    EXPECT_THAT(ops::ClipFactor(FromValues({1}, DType::kF64, {c.norm_squared}),
                                c.max_norm, {}, state, TheStream()),
                IsOk());
    values[ops::kGradientFactor] = c.factor;
    values[ops::kFinite] = c.finite;
    ExpectClose(state, values, 1e-6);
  }
}

// Gradients are means over all tokens; norm, clipping and factor are those of
// the mean over the tokens that count.
TEST(ClipFactor, MakesTheMeanThatOfTheTokensThatCount) {
  struct {
    double norm_squared, counted, scale;
    float max_norm;
    double factor, norm_squared_after;
  } cases[] = {{0.25, 100, 1, 0.0f, 1, 0.25},         // all: nothing changes
               {0.25, 25, 1, 0.0f, 4, 4},             // a norm of 2
               {0.25, 25, 1, 1.0f, 4 * 0.5, 4},       // clipped by half
               {16, 25, 8, 1.0f, 4 * 0.5 / 8, 256}};  // of 2 with a scale of 8
  for (const auto& c : cases) {
    std::vector<double> values = ToDoubles(StepState(0.5, 9, 1, 0.1, 0.2));
    values[ops::kLossScale] = c.scale;
    const Tensor state = FromValues({ops::kStepStateSize}, DType::kF32, values);
    const Tensor counted = FromValues({1}, DType::kF64, {c.counted});
    const Tensor squared = FromValues({1}, DType::kF64, {c.norm_squared});
    EXPECT_THAT(
        ops::ClipFactor(squared, c.max_norm, {.counted = &counted, .all = 100},
                        state, TheStream()),
        IsOk());
    values[ops::kGradientFactor] = c.factor;
    ExpectClose(state, values, 1e-6);
    EXPECT_EQ(ToDoubles(squared)[0], c.norm_squared_after);
  }
}

TEST(ClipFactor, NoTokenThatCountsMakesTheStepVoid) {
  std::vector<double> values = ToDoubles(StepState(0.5, 9, 1, 0.1, 0.2));
  const Tensor state = FromValues({ops::kStepStateSize}, DType::kF32, values);
  const Tensor none = FromValues({1}, DType::kF64, {0});
  const Tensor squared = FromValues({1}, DType::kF64, {0});
  EXPECT_THAT(ops::ClipFactor(squared, 1.0f, {.counted = &none, .all = 100},
                              state, TheStream()),
              IsOk());
  values[ops::kGradientFactor] = values[ops::kFinite] = 0;
  values[ops::kVoid] = 1;
  EXPECT_EQ(ToDoubles(state),
            ToDoubles(FromValues({ops::kStepStateSize}, DType::kF32, values)));
  EXPECT_EQ(ToDoubles(squared)[0], 0);
}

TEST(Optimizer, TakesOperandsAtAnyOffset) {
  const Tensor state = StepState(0.01, 0.7, 1, 0.1, 0.05);
  const Tensor step = FromValues({1}, DType::kI64, {7});
  for (DType dtype : test::kFloatDTypes) {
    const Range range(67, dtype);
    // As the op leaves it: rounded at random, a number may have neighbours.
    EXPECT_THAT(range.AdamW(state), IsOk());
    const auto with = [](const std::vector<Tensor>& t) {
      Range placed(0);
      placed.master = t[0];
      placed.grad = t[1];
      placed.m = t[2];
      placed.v = t[3];
      placed.data = t[4];
      return placed;
    };
    const std::vector<Tensor> operands = {range.master, range.grad, range.m,
                                          range.v, range.data};
    test::ExpectAnyAlignment(operands, [&](const std::vector<Tensor>& t) {
      return with(t).AdamW(state);
    });
    for (double momentum : {0.0, 0.9}) {
      test::ExpectAnyAlignment(operands, [&](const std::vector<Tensor>& t) {
        return with(t).Sgd(state, momentum);
      });
    }
    if (dtype != DType::kBF16) continue;
    for (int64_t first : {64, 67}) {
      const ops::StochasticRounding rounding = {step, 5, first};
      test::ExpectAnyAlignment(operands, [&](const std::vector<Tensor>& t) {
        return with(t).AdamW(state, &rounding);
      });
    }
  }
}

TEST(Optimizer, NamesWhatDoesNotFit) {
  const Tensor state = StepState(0.01, 1, 1, 0.1, 0.05);
  Range range(4);
  range.grad = Normal({5}, DType::kF32, 1);
  EXPECT_THAT(range.AdamW(state),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "adamw: grad=f32[5] on cpu must have the "
                       "shape [4]"));
  const Range other(4);
  const Tensor step = FromValues({1}, DType::kI64, {7});
  const ops::StochasticRounding rounding = {step, 5, 0};
  EXPECT_THAT(other.AdamW(state, &rounding),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "adamw: data=f32[4] on cpu must be bf16"));
  EXPECT_THAT(ops::Sgd({.master = other.master,
                        .grad = other.grad,
                        .m = nullptr,
                        .data = other.data,
                        .step_state = state,
                        .momentum = 0.9f,
                        .weight_decay = 0},
                       TheStream()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "momentum=0.9 needs m (optimizer.momentum)"));
  EXPECT_THAT(other.AdamW(Empty({3}, DType::kF32)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "step_state=f32[3] on cpu must have the shape "
                       "[8]"));
}

TEST(Optimizer, TellsItsCostOnMeta) {
  Device& meta = test::Meta();
  const Tensor master = Empty({10}, DType::kF32, meta);
  const Tensor data = Empty({10}, DType::kBF16, meta);
  const Tensor state = Empty({ops::kStepStateSize}, DType::kF32, meta);
  const auto costs = test::MetaCosts([&] {
    for (const Tensor& d : {data, master}) {
      EXPECT_THAT(ops::AdamW({.master = master,
                              .grad = master,
                              .m = master,
                              .v = master,
                              .data = d,
                              .step_state = state,
                              .beta1 = 0.9f,
                              .beta2 = 0.95f,
                              .eps = 1e-8f,
                              .weight_decay = 0},
                             test::MetaStream()),
                  IsOk());
    }
  });
  ASSERT_EQ(costs.size(), 2u);
  EXPECT_EQ(costs[0].second.bytes_read, 160);
  EXPECT_EQ(costs[0].second.bytes_written, 140);
  EXPECT_EQ(costs[1].second.bytes_written, 120);
}

}  // namespace
}  // namespace eisbach::optimizer_test
