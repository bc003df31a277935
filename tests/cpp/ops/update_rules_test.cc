// Lion, the average of weights and the elementwise parts of Muon.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ops/average.h"
#include "ops/lion.h"
#include "ops/muon.h"
#include "ops/optimizer.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::update_rules_test {
namespace {

using test::Empty;
using test::ExpectClose;
using test::FromValues;
using test::IsOk;
using test::Normal;
using test::StatusIs;
using test::TheStream;
using test::ToBytes;
using test::ToDoubles;

constexpr int64_t kLengths[] = {0, 1, 7, 1000, 20011};
constexpr double kRate = 0.01, kFactor = 0.5;

Tensor StepState(double finite = 1) {
  std::vector<double> values(ops::kStepStateSize);
  values[ops::kLearningRate] = kRate;
  values[ops::kGradientFactor] = kFactor;
  values[ops::kFinite] = finite;
  return FromValues({ops::kStepStateSize}, DType::kF32, values);
}

// Normal values of which some are exactly 0.
Tensor WithZeros(int64_t n, uint64_t seed) {
  std::vector<double> values = test::NormalValues(n, seed);
  for (int64_t i = 0; i < n; i += 3) values[i] = 0;
  return FromValues({n}, DType::kF32, values);
}

double Sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

TEST(Lion, FollowsTheFormula) {
  for (const DType dtype : test::kFloatDTypes) {
    for (const int64_t n : kLengths) {
      const Tensor master = Normal({n}, DType::kF32, 1);
      const Tensor grad = WithZeros(n, 2), m = WithZeros(n, 3);
      const Tensor data = Empty({n}, dtype);
      const std::vector<double> g = ToDoubles(grad);
      std::vector<double> w = ToDoubles(master), mean = ToDoubles(m);
      const double rate = kRate * 2;
      for (int64_t i = 0; i < n; ++i) {
        const double c = 0.9 * mean[i] + 0.1 * kFactor * g[i];
        w[i] -= rate * (Sign(c) + 0.1 * w[i]);
        mean[i] = 0.99 * mean[i] + 0.01 * kFactor * g[i];
      }
      EXPECT_THAT(ops::Lion({.master = master,
                             .grad = grad,
                             .m = m,
                             .data = data,
                             .step_state = StepState(),
                             .beta1 = 0.9,
                             .beta2 = 0.99,
                             .weight_decay = 0.1f,
                             .rate_factor = 2},
                            TheStream()),
                  IsOk());
      ExpectClose(master, w, 1e-6);
      ExpectClose(m, mean, 1e-6);
      ExpectClose(data, w);
    }
  }
}

TEST(Lion, LeavesAllAsItIsAfterAGradientThatIsNotFinite) {
  const Tensor master = Normal({9}, DType::kF32, 1), m = WithZeros(9, 3);
  const auto w = ToBytes(master), mean = ToBytes(m);
  EXPECT_THAT(ops::Lion({.master = master,
                         .grad = FromValues({9}, DType::kF32,
                                            std::vector<double>(9, NAN)),
                         .m = m,
                         .data = master,
                         .step_state = StepState(/*finite=*/0),
                         .beta1 = 0.9,
                         .beta2 = 0.99,
                         .weight_decay = 0.1f},
                        TheStream()),
              IsOk());
  EXPECT_EQ(ToBytes(master), w);
  EXPECT_EQ(ToBytes(m), mean);
}

TEST(Average, FollowsTheFormula) {
  for (const double decay : {0.0, 0.9, 0.9999999}) {
    for (const int64_t n : kLengths) {
      const Tensor master = Normal({n}, DType::kF32, 1);
      const Tensor average = Normal({n}, DType::kF32, 2);
      std::vector<double> want = ToDoubles(average);
      const std::vector<double> w = ToDoubles(master);
      const auto step = [&](double finite) {
        EXPECT_THAT(ops::Average({.master = master,
                                  .average = average,
                                  .step_state = StepState(finite),
                                  .decay = decay},
                                 TheStream()),
                    IsOk());
      };
      step(0);
      ExpectClose(average, want, 0);
      for (int64_t i = 0; i < n; ++i) {
        want[i] = decay * want[i] + (1 - decay) * w[i];
      }
      step(1);
      ExpectClose(average, want, 1e-6);
    }
  }
}

TEST(MuonMomentum, FollowsTheFormula) {
  for (const bool nesterov : {false, true}) {
    for (const int64_t n : kLengths) {
      const Tensor grad = Normal({n}, DType::kF32, 1);
      const Tensor m = Normal({n}, DType::kF32, 2);
      const Tensor direction = Normal({n}, DType::kF32, 3);
      std::vector<double> mean = ToDoubles(m), u;
      for (double g : ToDoubles(grad)) {
        g *= kFactor;
        double& kept = mean[u.size()];
        kept = 0.95 * kept + 0.05 * g;
        u.push_back(nesterov ? 0.95 * kept + 0.05 * g : kept);
      }
      const auto step = [&](double finite) {
        EXPECT_THAT(ops::MuonMomentum({.grad = grad,
                                       .m = m,
                                       .direction = direction,
                                       .step_state = StepState(finite),
                                       .momentum = 0.95,
                                       .nesterov = nesterov},
                                      TheStream()),
                    IsOk());
      };
      const auto before = ToBytes(m);
      step(0);
      EXPECT_EQ(ToBytes(m), before);
      ExpectClose(direction, std::vector<double>(n, 0.0), 0);
      step(1);
      ExpectClose(m, mean, 1e-6);
      ExpectClose(direction, u, 1e-6);
    }
  }
}

TEST(MuonStep, FollowsTheFormula) {
  for (const DType dtype : test::kFloatDTypes) {
    for (const int64_t n : kLengths) {
      const Tensor master = Normal({n}, DType::kF32, 1);
      const Tensor direction = Normal({n}, DType::kF32, 2);
      const Tensor data = Empty({n}, dtype);
      std::vector<double> w = ToDoubles(master);
      const std::vector<double> o = ToDoubles(direction);
      for (int64_t i = 0; i < n; ++i) {
        w[i] -= kRate * 3 * (o[i] + 0.1 * w[i]);
      }
      const auto step = [&](double finite) {
        EXPECT_THAT(ops::MuonStep({.master = master,
                                   .direction = direction,
                                   .data = data,
                                   .step_state = StepState(finite),
                                   .weight_decay = 0.1f,
                                   .rate_factor = 3},
                                  TheStream()),
                    IsOk());
      };
      const auto before = ToBytes(master);
      step(0);
      EXPECT_EQ(ToBytes(master), before);
      step(1);
      ExpectClose(master, w, 1e-6);
      ExpectClose(data, w);
    }
  }
}

TEST(DivideByRoot, DividesButNotByLessThanTheLeast) {
  for (const DType dtype : test::kFloatDTypes) {
    const Tensor x = Normal({5, 13}, DType::kF32, 1);
    for (const double square : {0.0, 1e-20, 6.25}) {
      const Tensor out = Empty({5, 13}, dtype);
      EXPECT_THAT(ops::DivideByRoot(x, FromValues({1}, DType::kF64, {square}),
                                    0.5f, out, TheStream()),
                  IsOk());
      std::vector<double> want = ToDoubles(x);
      for (double& v : want) v /= std::max(std::sqrt(square), 0.5);
      ExpectClose(out, want);
    }
  }
}

TEST(Blend, FollowsTheFormula) {
  for (const DType dtype : test::kFloatDTypes) {
    for (const int64_t n : kLengths) {
      const Tensor x = Normal({n}, dtype, 1), y = Normal({n}, dtype, 2);
      std::vector<double> want = ToDoubles(y);
      const std::vector<double> first = ToDoubles(x);
      for (int64_t i = 0; i < n; ++i) want[i] = 3.5 * first[i] - 2 * want[i];
      EXPECT_THAT(ops::Blend(3.5f, x, -2, y, TheStream()), IsOk());
      ExpectClose(y, want);
    }
  }
}

TEST(UpdateRules, RefuseWhatDoesNotFit) {
  const Tensor flat = Normal({4}, DType::kF32, 1);
  const Tensor other = Normal({5}, DType::kF32, 1);
  EXPECT_THAT(ops::Lion({.master = flat,
                         .grad = other,
                         .m = flat,
                         .data = flat,
                         .step_state = StepState(),
                         .beta1 = 0,
                         .beta2 = 0,
                         .weight_decay = 0},
                        TheStream()),
              StatusIs(absl::StatusCode::kInvalidArgument, "lion: grad"));
  EXPECT_THAT(ops::Blend(1, flat, 1, other, TheStream()),
              StatusIs(absl::StatusCode::kInvalidArgument, "blend: y"));
}

}  // namespace
}  // namespace eisbach::update_rules_test
