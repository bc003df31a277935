#include "optim/muon.h"

#include <algorithm>
#include <cmath>

#include "optim/groups.h"
#include "optim/newton_schulz.h"
#include "support/op_testing.h"

namespace eisbach::optim::muon_test {
namespace {

using test::TheStream;
using test::ToDoubles;
using test::Value;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
using Values = std::vector<double>;

// c [m, n] = a [m, k] b [k, n]
Values Product(const Values& a, const Values& b, int64_t m, int64_t k,
               int64_t n) {
  Values c(m * n, 0.0);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t p = 0; p < k; ++p) {
      for (int64_t j = 0; j < n; ++j)
        c[i * n + j] += a[i * k + p] * b[p * n + j];
    }
  }
  return c;
}

Values Transposed(const Values& a, int64_t rows, int64_t columns) {
  Values t(a.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) t[j * rows + i] = a[i * columns + j];
  }
  return t;
}

// As the paper writes it, without the trick for tall matrices.
Values Reference(Values x, int64_t rows, int64_t columns, int steps) {
  double square = 0;
  for (double v : x) square += v * v;
  for (double& v : x) v /= std::max(std::sqrt(square), 1e-7);
  for (int step = 0; step < steps; ++step) {
    const Values a =
        Product(x, Transposed(x, rows, columns), rows, columns, rows);
    const Values ax = Product(a, x, rows, rows, columns);
    const Values aax = Product(a, ax, rows, rows, columns);
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = 3.4445 * x[i] - 4.775 * ax[i] + 2.0315 * aax[i];
    }
  }
  return x;
}

TEST(NewtonSchulz, FollowsTheReference) {
  for (const Shape& shape : {Shape{8, 8}, {5, 19}, {19, 5}, {1, 7}, {7, 1}}) {
    const Tensor matrix = test::Normal(shape, DType::kF32, 3);
    const Values want = Reference(ToDoubles(matrix), shape[0], shape[1], 5);
    test::ExpectClose(Value(NewtonSchulz(matrix, 5, DType::kF32, TheStream())),
                      want, 1e-4);
    test::ExpectClose(Value(NewtonSchulz(matrix, 5, DType::kBF16, TheStream())),
                      want, 0.1);
  }
}

// Of a matrix with known singular values.
TEST(NewtonSchulz, BringsSingularValuesNearOne) {
  constexpr int64_t kSide = 12;
  Values diagonal(kSide * kSide, 0.0);
  for (int64_t i = 0; i < kSide; ++i) {
    diagonal[i * kSide + i] = std::pow(0.6, static_cast<double>(i));
  }
  const Tensor x = test::FromValues({kSide, kSide}, DType::kF32, diagonal);
  const Values got =
      ToDoubles(Value(NewtonSchulz(x, 5, DType::kF32, TheStream())));
  for (int64_t i = 0; i < kSide; ++i) {
    for (int64_t j = 0; j < kSide; ++j) {
      const double value = got[i * kSide + j];
      if (i == j) {
        EXPECT_GT(value, 0.65) << i;
        EXPECT_LT(value, 1.25) << i;
      } else {
        EXPECT_NEAR(value, 0, 1e-5);
      }
    }
  }
}

TEST(NewtonSchulz, LeavesNothingNothing) {
  const Tensor zero = test::FromValues({3, 4}, DType::kF32, Values(12, 0.0));
  test::ExpectClose(Value(NewtonSchulz(zero, 5, DType::kF32, TheStream())),
                    Values(12, 0.0));
}

OptimizerConfig Config() {
  OptimizerConfig config{.name = "muon",
                         .beta1 = 0.9,
                         .beta2 = 0.95,
                         .eps = 1e-8,
                         .momentum = 0.9,
                         .weight_decay = 0.1};
  config.adamw_rate_factor = 0.5;
  return config;
}

// A fused parameter of two logical matrices, between which a row is padding.
ParamSpec Fused() {
  ParamSpec spec;
  spec.name = "fused";
  spec.shape = Shape{4 + 1 + 9, 6};
  spec.decay = true;
  spec.slices.push_back({.name = "first",
                         .shape = {4, 6},
                         .start = {0, 0},
                         .extent = {4, 6},
                         .local_row = 0});
  spec.slices.push_back({.name = "second",
                         .shape = {9, 6},
                         .start = {0, 0},
                         .extent = {9, 6},
                         .local_row = 5});
  return spec;
}

class MuonTest : public ::testing::Test {
 protected:
  MuonTest() { table_.mutable_spec().table = true; }

  void Bind(const OptimizerConfig& config, DType dtype) {
    Parameter* list[] = {&fused_, &bias_, &table_, &other_};
    Value(ApplyGroups(config.groups, list, /*has_matrices=*/true));
    buffer_ = Value(
        FlatBuffer::Make(list, dtype, /*bucket_bytes=*/1 << 20, TheStream()));
    state_ = std::make_unique<StepState>(Value(StepState::Make(TheStream())));
    uint64_t seed = 1;
    for (Parameter* p : list) {
      Values values = test::NormalValues(p->master().elements(), ++seed);
      if (p == &fused_) std::fill_n(values.begin() + 24, 6, 0.0);
      test::Assign(p->master(), values);
      test::Assign(p->data(), values);
    }
  }

  // Of elements [begin, begin + rows x columns) of a parameter.
  void CheckMatrix(const OptimizerConfig& config, const Values& before,
                   Values& m, const Parameter& parameter, int64_t begin,
                   int64_t rows, int64_t columns, double lr, double factor) {
    const Values g = ToDoubles(parameter.grad());
    const Values got = ToDoubles(parameter.master());
    Values u(rows * columns);
    for (size_t i = 0; i < u.size(); ++i) {
      const double gradient = factor * g[begin + i];
      double& mean = m[begin + i];
      mean = config.momentum * mean + (1 - config.momentum) * gradient;
      u[i] = config.nesterov
                 ? config.momentum * mean + (1 - config.momentum) * gradient
                 : mean;
    }
    const double r = static_cast<double>(rows),
                 c = static_cast<double>(columns);
    const double scale = config.matrix_scale == "original"
                             ? std::sqrt(std::max(1.0, r / c))
                             : 0.2 * std::sqrt(std::max(r, c));
    const Values o = Reference(u, rows, columns, config.newton_schulz_steps);
    for (size_t i = 0; i < u.size(); ++i) {
      const double w = before[begin + i];
      ASSERT_NEAR(got[begin + i], w - lr * (scale * o[i] + 0.1 * w), 2e-5)
          << parameter.spec().name << " " << i;
    }
  }

  void CheckAgainstReference(const OptimizerConfig& config) {
    Bind(config, DType::kF32);
    auto optimizer = Value(MakeOptimizer(config, *buffer_, TheStream()));
    Values fused_m(84, 0.0), other_m(45, 0.0);
    for (int64_t step = 1; step <= 5; ++step) {
      uint64_t seed = 100 * step;
      for (Parameter* p : {&fused_, &bias_, &table_, &other_}) {
        Values g = test::NormalValues(p->grad().elements(), ++seed, 0.3);
        if (p == &fused_) std::fill_n(g.begin() + 24, 6, 0.0);
        test::Assign(p->grad(), g);
      }
      const double factor = step == 3 ? 0.5 : 1, lr = 0.02;
      EISBACH_ASSERT_OK(
          state_->Begin(step, lr, config.beta1, config.beta2, TheStream()));
      state_->values().data<float>()[ops::kGradientFactor] =
          static_cast<float>(factor);
      const Values fused = ToDoubles(fused_.master());
      const Values other = ToDoubles(other_.master());
      EISBACH_ASSERT_OK(optimizer->Step(*state_, TheStream()));
      CheckMatrix(config, fused, fused_m, fused_, 0, 4, 6, lr, factor);
      CheckMatrix(config, fused, fused_m, fused_, 30, 9, 6, lr, factor);
      CheckMatrix(config, other, other_m, other_, 0, 5, 9, lr, factor);
    }
    const Values padding = ToDoubles(fused_.master());
    for (int i = 24; i < 30; ++i) EXPECT_EQ(padding[i], 0) << i;
  }

  Parameter fused_{Fused()};
  Parameter bias_{WholeParam("bias", {6}, {}, /*decay=*/false)};
  Parameter table_{WholeParam("table", {7, 6}, {}, /*decay=*/true)};
  Parameter other_{WholeParam("other", {5, 9}, {}, /*decay=*/true)};
  std::unique_ptr<FlatBuffer> buffer_;
  std::unique_ptr<StepState> state_;
};

TEST_F(MuonTest, FollowsTheReference) {
  OptimizerConfig config = Config();
  CheckAgainstReference(config);
}

TEST_F(MuonTest, HasItsOptions) {
  OptimizerConfig config = Config();
  config.nesterov = false;
  config.newton_schulz_steps = 3;
  config.matrix_scale = "match_rms_adamw";
  CheckAgainstReference(config);
}

// Where AdamW gets the same gradients, tables, vectors and what a group says
// become the same at half the rate.
TEST_F(MuonTest, LeavesTheRestToAdamW) {
  OptimizerConfig config = Config();
  config.groups = {{.patterns = {"other"}, .adamw = true}};
  OptimizerConfig adamw = config;
  adamw.name = "adamw";
  adamw.groups.clear();
  std::vector<Values> want;
  for (const bool muon : {false, true}) {
    Bind(config, DType::kBF16);
    auto optimizer =
        Value(MakeOptimizer(muon ? config : adamw, *buffer_, TheStream()));
    for (int64_t step = 1; step <= 3; ++step) {
      uint64_t seed = 100 * step;
      for (Parameter* p : {&fused_, &bias_, &table_, &other_}) {
        test::Assign(p->grad(),
                     test::NormalValues(p->grad().elements(), ++seed, 0.3));
      }
      EISBACH_ASSERT_OK(
          state_->Begin(step, muon ? 0.02 : 0.01, 0.9, 0.95, TheStream()));
      EISBACH_ASSERT_OK(optimizer->Step(*state_, TheStream()));
    }
    for (Parameter* p : {&bias_, &table_, &other_}) {
      if (!muon) {
        want.push_back(ToDoubles(p->master()));
        continue;
      }
      test::ExpectClose(p->master(), want.front(), 1e-6);
      want.erase(want.begin());
    }
    test::ExpectClose(fused_.data(), ToDoubles(fused_.master()), 4e-3, 1e-30);
  }
}

// Of matrices one state, of the rest two.
TEST_F(MuonTest, KeepsTheStateThatItNeeds) {
  Bind(Config(), DType::kF32);
  auto optimizer = Value(MakeOptimizer(Config(), *buffer_, TheStream()));
  EXPECT_EQ(optimizer->state_names(), (std::vector<std::string>{"m", "v"}));
  ASSERT_EQ(buffer_->buckets().size(), 1u);
  const FlatBucket& bucket = buffer_->buckets()[0];
  ASSERT_EQ(optimizer->StateTensors().size(), 2u);
  const OptimizerState& m = optimizer->StateTensors()[0];
  const OptimizerState& v = optimizer->StateTensors()[1];
  EXPECT_EQ(m.range, bucket.own);
  // Aligned: 128 of `fused` and 64 of `other` come first.
  EXPECT_EQ(v.range, (ElementRange{192, bucket.elements - 192}));
  EXPECT_EQ(v.tensor.elements(), v.range.elements);
}

TEST_F(MuonTest, ANonFiniteGradientChangesNothing) {
  Bind(Config(), DType::kBF16);
  auto optimizer = Value(MakeOptimizer(Config(), *buffer_, TheStream()));
  const auto bytes = [&] {
    std::vector<std::vector<uint8_t>> all;
    for (const FlatBucket& bucket : buffer_->buckets()) {
      all.push_back(test::ToBytes(bucket.master));
      all.push_back(test::ToBytes(bucket.data));
    }
    for (const OptimizerState& s : optimizer->StateTensors()) {
      all.push_back(test::ToBytes(s.tensor));
    }
    return all;
  };
  const auto before = bytes();
  test::Assign(other_.grad(), Values(45, NAN));
  EISBACH_ASSERT_OK(state_->Begin(1, 0.1, 0.9, 0.95, TheStream()));
  state_->values().data<float>()[ops::kFinite] = 0;
  EISBACH_ASSERT_OK(optimizer->Step(*state_, TheStream()));
  EXPECT_TRUE(bytes() == before);
}

TEST_F(MuonTest, WritesWeightsFromMasters) {
  Bind(Config(), DType::kBF16);
  auto optimizer = Value(MakeOptimizer(Config(), *buffer_, TheStream()));
  for (Parameter* p : {&fused_, &bias_, &table_, &other_}) {
    test::Assign(p->data(), Values(p->data().elements(), 0.0));
  }
  EISBACH_ASSERT_OK(optimizer->RefreshData(*state_, TheStream()));
  for (Parameter* p : {&fused_, &bias_, &table_, &other_}) {
    test::ExpectClose(p->data(), ToDoubles(p->master()), 4e-3, 1e-30);
  }
}

TEST(Muon, RejectsWhatMakesNoSense) {
  const auto expect = [](const OptimizerConfig& config, const char* part) {
    EXPECT_THAT(Validate(config, DType::kBF16), test::StatusIs(kInvalid, part));
  };
  EXPECT_THAT(Validate(Config(), DType::kBF16), test::IsOk());
  OptimizerConfig config = Config();
  config.momentum = 1;
  expect(config, "momentum=1 is outside [0, 1) (optimizer.momentum)");
  config = Config();
  config.stochastic_rounding = true;
  expect(config, "(optimizer.stochastic_rounding)");
  config = Config();
  config.newton_schulz_steps = 0;
  expect(config, "newton_schulz_steps=0 is outside [1, 100]");
  config = Config();
  config.matrix_scale = "moonlight";
  expect(config, "original, match_rms_adamw (optimizer.matrix_scale)");
  config = Config();
  config.adamw_rate_factor = 0;
  expect(config, "(optimizer.adamw_lr)");
  config = Config();
  config.beta2 = 1;
  expect(config, "(optimizer.betas)");
  config = Config();
  config.name = "adamw";
  config.groups = {{.patterns = {"*"}, .adamw = true}};
  expect(config, "(optimizer.groups.0.rule)");
}

}  // namespace
}  // namespace eisbach::optim::muon_test
