#include "optim/optimizer.h"

#include <cmath>
#include <limits>

#include "support/op_testing.h"

namespace eisbach::optim::optimizer_test {
namespace {

using test::TheStream;
using test::ToDoubles;
using test::Value;
constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

OptimizerConfig AdamWConfig() {
  return {.name = "adamw",
          .beta1 = 0.9,
          .beta2 = 0.95,
          .eps = 1e-8,
          .momentum = 0,
          .weight_decay = 0.1};
}

OptimizerConfig SgdConfig(double momentum) {
  OptimizerConfig config = AdamWConfig();
  config.name = "sgd";
  config.momentum = momentum;
  return config;
}

OptimizerConfig LionConfig() {
  OptimizerConfig config = AdamWConfig();
  config.name = "lion";
  config.beta2 = 0.99;
  return config;
}

// One parameter of the reference, in double.
struct Reference {
  std::vector<double> w, m, v;

  void Step(const OptimizerConfig& config, bool decays, double lr,
            double factor, int64_t step, const std::vector<double>& grad) {
    const double decay = decays ? config.weight_decay : 0;
    for (size_t i = 0; i < w.size(); ++i) {
      double g = factor * grad[i];
      if (config.name == "adamw") {
        m[i] = config.beta1 * m[i] + (1 - config.beta1) * g;
        v[i] = config.beta2 * v[i] + (1 - config.beta2) * g * g;
        const double n = static_cast<double>(step);
        const double mean = m[i] / (1 - std::pow(config.beta1, n));
        const double square = v[i] / (1 - std::pow(config.beta2, n));
        w[i] -= lr * (mean / (std::sqrt(square) + config.eps) + decay * w[i]);
      } else if (config.name == "lion") {
        const double c = config.beta1 * m[i] + (1 - config.beta1) * g;
        w[i] -= lr * ((c > 0 ? 1 : -1) + decay * w[i]);
        m[i] = config.beta2 * m[i] + (1 - config.beta2) * g;
      } else {
        g += decay * w[i];
        m[i] = config.momentum * m[i] + g;
        w[i] -= lr * m[i];
      }
    }
  }
};

// A weight that decays and a bias that does not, in several buckets.
class OptimizerTest : public ::testing::Test {
 protected:
  void Bind(DType dtype, Stream& stream = TheStream()) {
    Parameter* list[] = {&weight_, &bias_, &head_};
    buffer_ =
        Value(FlatBuffer::Make(list, dtype, /*bucket_bytes=*/2000, stream));
    state_ = std::make_unique<StepState>(Value(StepState::Make(stream)));
    if (stream.device().type() == DeviceType::kMeta) return;
    uint64_t seed = 1;
    for (Parameter* p : list) {
      const auto values = test::NormalValues(p->master().elements(), ++seed);
      test::Assign(p->master(), values);
      test::Assign(p->data(), values);
    }
  }

  void SetGradients(int64_t step) {
    uint64_t seed = 1000 * step;
    for (Parameter* p : {&weight_, &bias_, &head_}) {
      test::Assign(p->grad(),
                   test::NormalValues(p->grad().elements(), ++seed, 0.3));
    }
  }

  // 50 steps with a changing learning rate and clip factor against double.
  void CheckAgainstReference(const OptimizerConfig& config, DType dtype) {
    Bind(dtype);
    auto optimizer = Value(MakeOptimizer(config, *buffer_, TheStream()));
    Parameter* list[] = {&weight_, &bias_, &head_};
    std::vector<Reference> references;
    for (Parameter* p : list) {
      const std::vector<double> zero(p->master().elements(), 0.0);
      references.push_back({ToDoubles(p->master()), zero, zero});
    }
    for (int64_t step = 1; step <= 50; ++step) {
      const double lr = 1e-2 * static_cast<double>(1 + step % 7);
      const double factor = step % 3 == 0 ? 0.5 : 1.0;
      SetGradients(step);
      EISBACH_ASSERT_OK(
          state_->Begin(step, lr, config.beta1, config.beta2, TheStream()));
      state_->values().data<float>()[ops::kGradientFactor] =
          static_cast<float>(factor);
      EISBACH_ASSERT_OK(optimizer->Step(*state_, TheStream()));
      for (int i = 0; i < 3; ++i) {
        references[i].Step(config, list[i]->spec().decay, lr, factor, step,
                           ToDoubles(list[i]->grad()));
      }
    }
    for (int i = 0; i < 3; ++i) {
      SCOPED_TRACE(list[i]->spec().name);
      test::ExpectClose(list[i]->master(), references[i].w, 2e-5);
      test::ExpectClose(list[i]->data(), ToDoubles(list[i]->master()),
                        dtype == DType::kF32 ? 1e-30 : 4e-3, 1e-30);
    }
  }

  Parameter weight_{WholeParam("weight", {9, 21}, {}, /*decay=*/true)};
  Parameter bias_{WholeParam("bias", {21}, {}, /*decay=*/false)};
  Parameter head_{WholeParam("head", {40, 21}, {}, /*decay=*/true)};
  std::unique_ptr<FlatBuffer> buffer_;
  std::unique_ptr<StepState> state_;
};

TEST_F(OptimizerTest, AdamWFollowsTheReference) {
  CheckAgainstReference(AdamWConfig(), DType::kF32);
}

TEST_F(OptimizerTest, AdamWFollowsTheReferenceForDecaysNearOne) {
  for (double beta : {0.999, 0.9999, 0.99999999}) {
    OptimizerConfig config = AdamWConfig();
    config.beta1 = config.beta2 = beta;
    CheckAgainstReference(config, DType::kF32);
  }
}

TEST_F(OptimizerTest, AdamWKeepsAMasterOfBF16) {
  CheckAgainstReference(AdamWConfig(), DType::kBF16);
}

TEST_F(OptimizerTest, SgdFollowsTheReference) {
  CheckAgainstReference(SgdConfig(0), DType::kF32);
}

TEST_F(OptimizerTest, SgdWithMomentumFollowsTheReference) {
  CheckAgainstReference(SgdConfig(0.9), DType::kBF16);
}

TEST_F(OptimizerTest, LionFollowsTheReference) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    CheckAgainstReference(LionConfig(), dtype);
  }
}

TEST_F(OptimizerTest, KeepsAnAverageOfTheWeights) {
  for (OptimizerConfig config : {AdamWConfig(), LionConfig(), SgdConfig(0)}) {
    config.average_decay = 0.8;
    Bind(DType::kBF16);
    auto optimizer = Value(MakeOptimizer(config, *buffer_, TheStream()));
    EXPECT_EQ(optimizer->state_names().back(), kAverageName);
    EISBACH_ASSERT_OK(optimizer->StartAverage(TheStream()));
    std::vector<std::vector<double>> averages;
    for (const FlatBucket& bucket : buffer_->buckets()) {
      averages.push_back(ToDoubles(bucket.master));
    }
    for (int64_t step = 1; step <= 3; ++step) {
      SetGradients(step);
      EISBACH_ASSERT_OK(state_->Begin(step, 0.1, 0.9, 0.95, TheStream()));
      // A step that is void is not averaged.
      state_->values().data<float>()[ops::kFinite] = step == 2 ? 0 : 1;
      EISBACH_ASSERT_OK(optimizer->Step(*state_, TheStream()));
      if (step == 2) continue;
      for (size_t b = 0; b < averages.size(); ++b) {
        const std::vector<double> w = ToDoubles(buffer_->buckets()[b].master);
        for (size_t i = 0; i < w.size(); ++i) {
          averages[b][i] = 0.8 * averages[b][i] + 0.2 * w[i];
        }
      }
    }
    for (const OptimizerState& state : optimizer->StateTensors()) {
      if (state.name != kAverageName) continue;
      test::ExpectClose(state.tensor, averages[state.bucket], 1e-6);
    }
  }
  OptimizerConfig config = AdamWConfig();
  config.average_decay = 1;
  EXPECT_THAT(Validate(config, DType::kF32),
              test::StatusIs(kInvalid, "ema=1 is outside [0, 1) (train.ema)"));
}

// The copy is one of the two bf16 beside the master, other ones in each step,
// and comes back from the master and the step.
TEST_F(OptimizerTest, AdamWRoundsAtRandom) {
  Bind(DType::kBF16);
  OptimizerConfig config = AdamWConfig();
  config.stochastic_rounding = true;
  config.seed = 5;
  auto optimizer = Value(MakeOptimizer(config, *buffer_, TheStream()));
  const auto data = [&] {
    std::vector<std::vector<uint8_t>> all;
    for (const FlatBucket& bucket : buffer_->buckets()) {
      all.push_back(test::ToBytes(bucket.data));
    }
    return all;
  };
  std::vector<std::vector<std::vector<uint8_t>>> steps;
  for (int64_t step = 1; step <= 2; ++step) {
    SetGradients(step);
    EISBACH_ASSERT_OK(state_->Begin(step, 1e-3, 0.9, 0.95, TheStream()));
    EISBACH_ASSERT_OK(optimizer->Step(*state_, TheStream()));
    steps.push_back(data());
    test::ExpectClose(head_.data(), ToDoubles(head_.master()), 0x1p-7, 1e-30);
  }
  for (FlatBucket& bucket : buffer_->buckets()) {
    test::Assign(bucket.data, std::vector<double>(bucket.data.elements(), 0.0));
  }
  EISBACH_ASSERT_OK(optimizer->RefreshData(*state_, TheStream()));
  EXPECT_TRUE(data() == steps[1]);
  EISBACH_ASSERT_OK(state_->Begin(1, 1e-3, 0.9, 0.95, TheStream()));
  EISBACH_ASSERT_OK(optimizer->RefreshData(*state_, TheStream()));
  EXPECT_FALSE(data() == steps[1]);
  config.stochastic_rounding = false;
  EISBACH_ASSERT_OK(Value(MakeOptimizer(config, *buffer_, TheStream()))
                        ->RefreshData(*state_, TheStream()));
  test::ExpectClose(head_.data(), ToDoubles(head_.master()), 0x1p-8, 1e-30);
}

TEST_F(OptimizerTest, ANonFiniteGradientChangesNothing) {
  for (const OptimizerConfig& config :
       {AdamWConfig(), LionConfig(), SgdConfig(0.9)}) {
    Bind(DType::kBF16);
    auto optimizer = Value(MakeOptimizer(config, *buffer_, TheStream()));
    SetGradients(1);
    EISBACH_ASSERT_OK(state_->Begin(1, 0.1, 0.9, 0.95, TheStream()));
    EISBACH_ASSERT_OK(optimizer->Step(*state_, TheStream()));
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
    head_.grad().data<float>()[3] = std::numeric_limits<float>::infinity();
    EISBACH_ASSERT_OK(state_->Begin(2, 0.1, 0.9, 0.95, TheStream()));
    EISBACH_ASSERT_OK(ops::ClipFactor(
        test::FromValues({1}, DType::kF64,
                         {std::numeric_limits<double>::infinity()}),
        1.0f, {}, state_->values(), TheStream()));
    EISBACH_ASSERT_OK(optimizer->Step(*state_, TheStream()));
    EXPECT_EQ(bytes(), before);
    // Nor do later ones, until somebody has looked.
    SetGradients(3);
    EISBACH_ASSERT_OK(state_->Begin(3, 0.1, 0.9, 0.95, TheStream()));
    EISBACH_ASSERT_OK(optimizer->Step(*state_, TheStream()));
    EXPECT_TRUE(bytes() == before);
    EISBACH_ASSERT_OK(state_->SetFinite(TheStream()));
    EISBACH_ASSERT_OK(optimizer->Step(*state_, TheStream()));
    EXPECT_FALSE(bytes() == before);
  }
}

TEST_F(OptimizerTest, GapsBetweenParametersStayZero) {
  Bind(DType::kF32);
  auto optimizer = Value(MakeOptimizer(AdamWConfig(), *buffer_, TheStream()));
  for (int64_t step = 1; step <= 3; ++step) {
    SetGradients(step);
    EISBACH_ASSERT_OK(state_->Begin(step, 0.1, 0.9, 0.95, TheStream()));
    EISBACH_ASSERT_OK(optimizer->Step(*state_, TheStream()));
  }
  for (const FlatBucket& bucket : buffer_->buckets()) {
    std::vector<bool> covered(bucket.master.elements());
    for (size_t i = 0; i < bucket.parameters.size(); ++i) {
      std::fill_n(covered.begin() + bucket.offsets[i],
                  bucket.parameters[i]->master().elements(), true);
    }
    for (size_t i = 0; i < covered.size(); ++i) {
      if (covered[i]) continue;
      EXPECT_EQ(bucket.master.data<float>()[i], 0);
    }
  }
}

TEST_F(OptimizerTest, StateIsNamedByBucket) {
  Bind(DType::kF32);
  ASSERT_GT(buffer_->buckets().size(), 1);
  auto adamw = Value(MakeOptimizer(AdamWConfig(), *buffer_, TheStream()));
  ASSERT_EQ(adamw->StateTensors().size(), 2 * buffer_->buckets().size());
  for (size_t i = 0; i < adamw->StateTensors().size(); ++i) {
    const OptimizerState& state = adamw->StateTensors()[i];
    EXPECT_EQ(state.name, i % 2 == 0 ? "m" : "v");
    EXPECT_EQ(state.bucket, i / 2);
    EXPECT_EQ(state.tensor.shape(), buffer_->buckets()[i / 2].master.shape());
  }
  EXPECT_TRUE(Value(MakeOptimizer(SgdConfig(0), *buffer_, TheStream()))
                  ->StateTensors()
                  .empty());
  EXPECT_EQ(Value(MakeOptimizer(SgdConfig(0.5), *buffer_, TheStream()))
                ->StateTensors()
                .size(),
            buffer_->buckets().size());
}

// Writing the state of one optimizer into another continues its run.
TEST_F(OptimizerTest, StateTensorsRestore) {
  Bind(DType::kF32);
  auto first = Value(MakeOptimizer(AdamWConfig(), *buffer_, TheStream()));
  SetGradients(1);
  EISBACH_ASSERT_OK(state_->Begin(1, 0.1, 0.9, 0.95, TheStream()));
  EISBACH_ASSERT_OK(first->Step(*state_, TheStream()));
  auto second = Value(MakeOptimizer(AdamWConfig(), *buffer_, TheStream()));
  for (size_t i = 0; i < first->StateTensors().size(); ++i) {
    test::Assign(second->StateTensors()[i].tensor,
                 ToDoubles(first->StateTensors()[i].tensor));
  }
  const std::vector<double> start = ToDoubles(weight_.master());
  SetGradients(2);
  EISBACH_ASSERT_OK(state_->Begin(2, 0.1, 0.9, 0.95, TheStream()));
  EISBACH_ASSERT_OK(first->Step(*state_, TheStream()));
  const std::vector<uint8_t> unbroken = test::ToBytes(weight_.master());
  test::Assign(weight_.master(), start);
  EISBACH_ASSERT_OK(second->Step(*state_, TheStream()));
  EXPECT_EQ(test::ToBytes(weight_.master()), unbroken);
}

TEST_F(OptimizerTest, OneKernelASegmentAndNothingOnMeta) {
  Bind(DType::kBF16, test::MetaStream());
  auto optimizer =
      Value(MakeOptimizer(AdamWConfig(), *buffer_, test::MetaStream()));
  size_t segments = 0;
  for (const FlatBucket& bucket : buffer_->buckets()) {
    segments += bucket.segments.size();
  }
  test::CostRecorder recorder(test::Meta());
  EISBACH_ASSERT_OK(optimizer->Step(*state_, test::MetaStream()));
  EXPECT_EQ(recorder.ops.size(), segments);
}

TEST_F(OptimizerTest, RejectsWhatMakesNoSense) {
  Bind(DType::kF32);
  const auto expect = [&](auto change, const char* part) {
    OptimizerConfig config = AdamWConfig();
    change(config);
    EXPECT_THAT(MakeOptimizer(config, *buffer_, TheStream()).status(),
                test::StatusIs(kInvalid, part));
  };
  expect([](auto& c) { c.name = "adafactor"; },
         "\"adafactor\" is not one of adamw, lion, muon, sgd "
         "(optimizer.name)");
  expect([](auto& c) { c.beta2 = 1; }, "optimizer.betas");
  expect([](auto& c) { c.eps = 0; }, "optimizer.eps");
  expect([](auto& c) { c.eps = 1e-300; }, "f32 holds (optimizer.eps)");
  expect([](auto& c) { c.weight_decay = 1e39; },
         "f32 holds (optimizer.weight_decay)");
  expect([](auto& c) { c.stochastic_rounding = true; },
         "bf16, not f32 (optimizer.stochastic_rounding)");
  expect([](auto& c) { c.weight_decay = -1; }, "optimizer.weight_decay");
  expect(
      [](auto& c) {
        c.name = "sgd";
        c.momentum = 1;
      },
      "optimizer.momentum");
}

}  // namespace
}  // namespace eisbach::optim::optimizer_test
