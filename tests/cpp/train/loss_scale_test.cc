// f16 with a loss scale that follows the gradients: it trains like f32, steps
// that overflow change nothing, and every rank sees the same scale.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <mutex>

#include "support/curves.h"
#include "support/recipes.h"
#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::loss_scale_test {
namespace {

using test::Curve;
using test::Layout;
using test::StatusIs;

// A scale whose first gradients, 2^24 / 192 tokens, are past f16's 65504.
constexpr float kTooLarge = 16777216;

EngineConfig Float16Config(const std::string& family) {
  EngineConfig config = test::ToyConfig(family);
  config.micro_batch = 3;
  config.update.compute_dtype = DType::kF16;
  return config;
}

std::vector<double> ScalesOf(const Curve& curve) {
  std::vector<double> scales;
  for (const StepResult& result : curve) scales.push_back(result.loss_scale);
  return scales;
}

std::vector<float> MastersOf(Engine& engine) {
  std::vector<float> values;
  for (const FlatBucket& bucket : engine.update().buffer().buckets()) {
    const float* begin = bucket.master.data<float>();
    values.insert(values.end(), begin, begin + bucket.master.elements());
  }
  return values;
}

using EngineBody = std::function<absl::Status(Engine&)>;
void OnRanks(const Layout& layout, const EngineConfig& config,
             const EngineBody& body) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(world, layout, config, body);
      }));
}

TEST(LossScale, Float16TrainsLikeFloat32) {
  for (const char* family : {"gpt", "llama"}) {
    for (const char* optimizer : {"adamw", "sgd"}) {
      EngineConfig config =
          test::Recipe{family, "1f1b", optimizer, DType::kF16}.Config();
      config.micro_batch = 3;
      const auto got = test::Value(test::TrainAndGather({}, config, 10));
      config.update.compute_dtype = DType::kF32;
      const auto want = test::Value(test::TrainAndGather({}, config, 10));
      test::ExpectCloseCurves(got.curve, want.curve,
                              test::kBfloat16Tolerance.curve, family);
      EXPECT_EQ(ScalesOf(got.curve), std::vector<double>(10, 65536));
      EXPECT_EQ(ScalesOf(want.curve), std::vector<double>(10, 1));
    }
  }
}

// A power of two in all gradients that is taken out again changes no bit, but
// where f16 has no smaller numbers left.
TEST(LossScale, TheNormDoesNotDependOnTheScale) {
  EngineConfig config = Float16Config("llama");
  config.update.initial_loss_scale = 65536;
  const Curve high = test::Value(test::Train({}, config, 3));
  config.update.initial_loss_scale = 8192;
  const Curve low = test::Value(test::Train({}, config, 3));
  test::ExpectCloseCurves(high, low, 1e-3, "scales");
}

// The first steps overflow, each is skipped and halves the scale; then the
// scale doubles after each third step. On every rank, in the same steps.
TEST(LossScale, HalvesAndGrowsOnEveryRankAlike) {
  constexpr int kSteps = 12;
  for (const Layout& layout :
       {Layout{1, 1, 1}, Layout{2, 2, 1}, Layout{1, 2, 2}, Layout{2, 1, 2}}) {
    SCOPED_TRACE(layout.ToString());
    EngineConfig config = Float16Config("gpt");
    config.update.initial_loss_scale = kTooLarge;
    config.update.loss_scale_window = 3;
    std::mutex mutex;
    std::vector<Curve> curves;
    OnRanks(layout, config, [&](Engine& engine) -> absl::Status {
      Curve curve;
      for (int step = 1; step <= kSteps; ++step) {
        const std::vector<float> before = MastersOf(engine);
        EISBACH_ASSIGN_OR_RETURN(const StepResult result,
                                 test::ToyStep(engine));
        EXPECT_EQ(MastersOf(engine) == before, result.skipped) << step;
        EXPECT_EQ(std::isfinite(result.grad_norm), !result.skipped) << step;
        EXPECT_TRUE(std::isfinite(result.loss));
        curve.push_back(result);
      }
      std::lock_guard<std::mutex> lock(mutex);
      curves.push_back(std::move(curve));
      return absl::OkStatus();
    });
    ASSERT_EQ(curves.size(), layout.ranks());
    const Curve& first = curves[0];
    EXPECT_TRUE(first[0].skipped);
    EXPECT_FALSE(first[kSteps - 1].skipped && first[kSteps - 2].skipped);
    double scale = kTooLarge;
    int good = 0, grown = 0;
    for (const StepResult& result : first) {
      EXPECT_EQ(result.loss_scale, scale) << result.step;
      good = result.skipped ? 0 : good + 1;
      if (result.skipped) scale /= 2;
      if (good == 3) {
        scale *= 2;
        good = 0;
        ++grown;
      }
    }
    EXPECT_GE(grown, 1);
    for (const Curve& curve : curves) {
      EXPECT_EQ(ScalesOf(curve), ScalesOf(first));
      for (int i = 0; i < kSteps; ++i) {
        EXPECT_EQ(curve[i].skipped, first[i].skipped) << i;
        EXPECT_EQ(curve[i].loss, first[i].loss) << i;
      }
    }
  }
}

// Steps that are on the device already see the scale that a skipped one left.
TEST(LossScale, StepsSubmittedEarlierSeeTheHalvedScale) {
  constexpr int kSteps = 8;
  const auto train = [](int lag) {
    EngineConfig config = Float16Config("gpt");
    config.update.initial_loss_scale = kTooLarge;
    config.update.loss_scale_window = 2;
    Curve curve;
    OnRanks({}, config, [&](Engine& engine) -> absl::Status {
      for (int step = 1; step <= kSteps + lag; ++step) {
        if (step <= kSteps) EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
        if (step <= lag) continue;
        EISBACH_ASSIGN_OR_RETURN(const StepResult result, engine.Collect());
        curve.push_back(result);
      }
      return absl::OkStatus();
    });
    return curve;
  };
  const Curve at_once = train(0), later = train(3);
  ASSERT_EQ(at_once.size(), kSteps);
  ASSERT_EQ(later.size(), kSteps);
  EXPECT_TRUE(at_once[0].skipped);
  EXPECT_FALSE(at_once[kSteps - 1].skipped && at_once[kSteps - 2].skipped);
  EXPECT_EQ(ScalesOf(later), ScalesOf(at_once));
  for (int i = 0; i < kSteps; ++i) {
    EXPECT_EQ(later[i].skipped, at_once[i].skipped) << i;
    EXPECT_EQ(later[i].loss, at_once[i].loss) << i;
  }
}

TEST(LossScale, ALossThatIsNaNIsAnErrorAndVoidsLaterSteps) {
  OnRanks({}, Float16Config("gpt"), [&](Engine& engine) -> absl::Status {
    EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
    Parameter& parameter = *engine.update().parameters()[0];
    float& weight = parameter.master().data<float>()[5];
    const float saved = weight;
    weight = std::numeric_limits<float>::quiet_NaN();
    EISBACH_RETURN_IF_ERROR(engine.update().RefreshData());
    EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
    weight = saved;
    EISBACH_RETURN_IF_ERROR(engine.update().RefreshData());
    const std::vector<float> before = MastersOf(engine);
    EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
    EXPECT_EQ(MastersOf(engine), before);
    weight = std::numeric_limits<float>::quiet_NaN();
    EISBACH_RETURN_IF_ERROR(engine.update().RefreshData());
    EXPECT_THAT(engine.Collect(),
                StatusIs(absl::StatusCode::kDataLoss, "at step 2"));
    EXPECT_EQ(engine.submitted(), 0);
    weight = saved;
    EISBACH_RETURN_IF_ERROR(engine.update().RefreshData());
    EISBACH_ASSIGN_OR_RETURN(const StepResult result, test::ToyStep(engine));
    EXPECT_EQ(result.loss_scale, 65536);
    EXPECT_FALSE(result.skipped);
    EXPECT_NE(MastersOf(engine), before);
    return absl::OkStatus();
  });
}

// Activations of zero, which a norm of large weight makes large gradients of:
// each norm multiplies by 30000 / sqrt(norm_eps), and the loss is log(vocab).
absl::Status PlantLargeGradients(Engine& engine) {
  for (Parameter* parameter : engine.update().parameters()) {
    const std::string& name = parameter->spec().name;
    const bool embedding = name.find("embed") != std::string::npos;
    if (!embedding && name.find("norm") == std::string::npos) continue;
    float* values = parameter->master().data<float>();
    std::fill_n(values, parameter->master().elements(),
                embedding ? 0.0f : 30000.0f);
  }
  return engine.update().RefreshData();
}

TEST(LossScale, WhatNoScaleHelpsIsAnError) {
  EngineConfig config = Float16Config("llama");
  config.update.initial_loss_scale = 4;
  for (const Layout& layout : {Layout{1, 1, 1}, Layout{1, 2, 2}}) {
    OnRanks(layout, config, [&](Engine& engine) -> absl::Status {
      EISBACH_RETURN_IF_ERROR(PlantLargeGradients(engine));
      const std::vector<float> before = MastersOf(engine);
      for (double scale : {4, 2}) {
        EISBACH_ASSIGN_OR_RETURN(const StepResult result,
                                 test::ToyStep(engine));
        EXPECT_TRUE(result.skipped);
        EXPECT_EQ(result.loss_scale, scale);
        EXPECT_NEAR(result.loss, std::log(101), 1e-3);
      }
      const absl::Status status = test::ToyStep(engine).status();
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, "at step 3"));
      EXPECT_THAT(status,
                  StatusIs(absl::StatusCode::kDataLoss, "the gradient of"));
      EXPECT_EQ(MastersOf(engine), before);
      return absl::OkStatus();
    });
  }
}

TEST(LossScale, ErrorsNameTheKey) {
  const auto expect = [](auto change, const char* part) {
    EngineConfig config = Float16Config("gpt");
    change(config.update);
    EXPECT_THAT(test::Train({}, config, 1).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, part));
  };
  expect([](UpdateConfig& c) { c.initial_loss_scale = 0.5f; },
         "precision.initial_loss_scale");
  expect([](UpdateConfig& c) { c.initial_loss_scale = 2 * kTooLarge; },
         "[1, 16777216]");
  expect([](UpdateConfig& c) { c.loss_scale_window = 0; },
         "precision.loss_scale_window");
}

TEST(StochasticRounding, TrainsLikeRoundingToNearest) {
  for (const Layout& layout : {Layout{1, 1, 1}, Layout{2, 2, 1}}) {
    EngineConfig config = test::Recipe{"llama", "1f1b", "adamw",  // no ties
                                       DType::kBF16}
                              .Config();
    config.micro_batch = 3;
    const Curve want = test::Value(test::Train(layout, config, 10));
    config.update.optimizer.stochastic_rounding = true;
    const Curve got = test::Value(test::Train(layout, config, 10));
    test::ExpectCloseCurves(got, want, 2e-2, layout.ToString());
    EXPECT_NE(got.back().loss, want.back().loss);
    test::ExpectSameCurves(test::Value(test::Train(layout, config, 10)), got,
                           "again");
  }
}

}  // namespace
}  // namespace eisbach::train::loss_scale_test
