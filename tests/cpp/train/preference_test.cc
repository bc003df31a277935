// Learning which of two answers to prefer, on every layout.

#include <gtest/gtest.h>

#include <cmath>

#include "cpp/checkpoint/checkpoint_testing.h"
#include "plan/estimate.h"
#include "support/status_testing.h"
#include "support/trained.h"
#include "tensor/init.h"

namespace eisbach::train::preference_test {
namespace {

using test::Layout;
using test::StatusIs;
using test::Trained;
using test::Value;

constexpr int kSteps = 4;

EngineConfig Config(const std::string& family, bool adapters) {
  EngineConfig config = test::SmallConfig(family);
  if (adapters) config.model.adapter = {.rank = 3, .alpha = 6};
  config.update.schedule.learning_rate = 1e-3;
  config.update.schedule.min_learning_rate = 1e-3;
  config.preference =
      PreferenceConfig{.rule = {.beta = 0.5,
                                .label_smoothing = 0.1,
                                .variant = ops::PreferenceVariant::kSigmoid},
                       .stored_reference = !adapters};
  return config;
}

// The toy's rows, of which each is two answers of some tokens that count; what
// a reference thinks of them depends on the sample alone.
absl::StatusOr<StepInput> PairInput(const EngineConfig& config, int64_t step,
                                    const parallel::ParallelContext& context) {
  Device& device = context.device();
  EISBACH_ASSIGN_OR_RETURN(
      StepInput input, test::ToyInput(config, step, context.index(Axis::kData),
                                      context.size(Axis::kData), device));
  EISBACH_ASSIGN_OR_RETURN(
      input.starts, Tensor::Empty(input.tokens.shape(), DType::kI32, device));
  const int64_t samples = input.tokens.dim(0), length = input.tokens.dim(1);
  for (int64_t s = 0; s < samples; ++s) {
    const int64_t index = input.sample_index.data<int64_t>()[s];
    const int64_t border = 2 + index % 3;
    for (int64_t t = 0; t < length; ++t) {
      const int64_t i = s * length + t;
      input.starts.data<int32_t>()[i] =
          static_cast<int32_t>(t < border ? 0 : border);
      if ((t == 0 || t == border) && index % 2 == 0) {
        input.targets.data<int32_t>()[i] = -1;
      }
    }
  }
  if (!config.preference->stored_reference) return input;
  EISBACH_ASSIGN_OR_RETURN(input.reference,
                           Tensor::Zeros(Shape{samples, ops::kPairSums},
                                         DType::kF64, device.compute_stream()));
  for (int64_t s = 0; s < samples; ++s) {
    const int64_t index = input.sample_index.data<int64_t>()[s];
    double* sums = input.reference.data<double>() + s * ops::kPairSums;
    sums[ops::kChosen] = -7 - 0.25 * static_cast<double>(index % 5);
    sums[ops::kRejected] = -8 + 0.5 * static_cast<double>(index % 3);
  }
  return input;
}

// Values of B that are not zero, so that the model is not its reference.
absl::Status Stir(Engine& engine) {
  Stream& stream = engine.context().device().compute_stream();
  for (Parameter* parameter : engine.update().parameters()) {
    ParamSpec& spec = parameter->mutable_spec();
    if (spec.role != AdapterRole::kFactor ||
        spec.init.kind != Init::Kind::kZeros) {
      continue;
    }
    spec.init = {Init::Kind::kNormal, 0.5f};
    EISBACH_RETURN_IF_ERROR(InitParameter(*parameter, 77, stream));
  }
  return engine.update().RefreshData();
}

struct Learned {
  Trained trained;
  std::vector<Rewards> rewards;
  double validation = 0;
};

Learned TrainPairs(const Layout& layout, const EngineConfig& config) {
  Learned run;
  EISBACH_EXPECT_OK(test::OnEngines(
      layout, config, [&](Engine& engine, int rank) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(Stir(engine));
        Learned mine;
        for (int64_t step = 1; step <= kSteps; ++step) {
          EISBACH_ASSIGN_OR_RETURN(const StepInput input,
                                   PairInput(config, step, engine.context()));
          EISBACH_ASSIGN_OR_RETURN(const StepResult result, engine.Step(input));
          mine.trained.curve.push_back(result);
          EXPECT_EQ(result.counted, config.global_batch);
          EXPECT_TRUE(result.rewards.has_value());
          mine.rewards.push_back(*result.rewards);
          if (step > 1) continue;
          EISBACH_ASSIGN_OR_RETURN(
              mine.trained.gradients,
              checkpoint::GatherParameters(
                  engine.update().parameters(),
                  checkpoint::ParameterValue::kGradient, engine.context()));
        }
        EISBACH_ASSIGN_OR_RETURN(
            const StepInput input,
            PairInput(config, kSteps + 1, engine.context()));
        EISBACH_ASSIGN_OR_RETURN(mine.validation, engine.Evaluate(input));
        if (rank == 0) run = std::move(mine);
        return absl::OkStatus();
      }));
  return run;
}

void ExpectAlike(const Learned& got, const Learned& want,
                 const std::string& what) {
  test::ExpectTrainsLike(got.trained, want.trained, test::kFloat32Tolerance,
                         what);
  EXPECT_NEAR(got.validation, want.validation, 1e-5) << what;
  for (int i = 0; i < kSteps; ++i) {
    EXPECT_NEAR(got.rewards[i].chosen, want.rewards[i].chosen, 1e-5) << what;
    EXPECT_NEAR(got.rewards[i].margin(), want.rewards[i].margin(), 1e-5)
        << what;
    EXPECT_EQ(got.rewards[i].accuracy, want.rewards[i].accuracy) << what;
  }
}

TEST(PreferenceTest, EveryLayoutTrainsLikeOneRank) {
  for (const char* family : {"gpt", "llama"}) {
    for (const bool adapters : {true, false}) {
      EngineConfig config = Config(family, adapters);
      // The reference has the rows that the table has.
      if (adapters) config.model.adapter.tokens = {0, 9, 10};
      const Learned one = TrainPairs({}, config);
      EXPECT_GT(one.trained.curve.back().grad_norm, 0.01);
      EXPECT_GT(std::abs(one.rewards.back().margin()), 1e-3);
      for (const Layout& layout : test::kLayouts) {
        EngineConfig other = config;
        other.recompute = layout.pipeline == 2 ? nn::Recompute::kBlock
                                               : nn::Recompute::kSelective;
        other.deferred_weights = layout.tensor == 2;
        ExpectAlike(TrainPairs(layout, other), one, layout.ToString());
      }
    }
  }
}

// Answers of which each rank has a part, by whatever method and however state
// is divided. Rows of 12 tokens are cut in 4 and 8 chunks; the second answer
// begins at 2 to 4.
TEST(PreferenceTest, RanksThatDivideRowsTrainLikeOneRank) {
  using parallel::ContextMethod;
  struct Divided {
    Layout layout;
    ContextMethod method;
    int zero = 0;
    int group = 0;
  };
  const Divided layouts[] = {
      {test::WithContext(2), ContextMethod::kUlysses},
      {test::WithContext(3, {2, 1, 1}), ContextMethod::kGather, 2},
      {test::WithContext(6), ContextMethod::kUlyssesRing, 0, 3},
      {test::WithContext(2, {1, 2, 2}), ContextMethod::kRing},
      {test::WithContext(2, {2, 2, 1}), ContextMethod::kUlysses, 3},
      {test::WithContext(2, {2, 1, 1}), ContextMethod::kRing, 1}};
  for (const bool adapters : {true, false}) {
    for (const auto variant :
         {ops::PreferenceVariant::kSigmoid, ops::PreferenceVariant::kIpo}) {
      EngineConfig config = Config("gpt", adapters);
      config.model.context = 12;
      config.preference->rule.variant = variant;
      if (variant == ops::PreferenceVariant::kIpo) {
        config.preference->rule.label_smoothing = 0;
        config.update.schedule.learning_rate = 1e-4;
        config.update.schedule.min_learning_rate = 1e-4;
      }
      const Learned one = TrainPairs({}, config);
      for (const auto& [layout, method, zero, group] : layouts) {
        EngineConfig other = config;
        other.context_method = method;
        other.ulysses_group = group;
        other.update.zero.zero = zero;
        other.recompute =
            zero == 0 ? nn::Recompute::kBlock : nn::Recompute::kSelective;
        ExpectAlike(TrainPairs(layout, other), one,
                    absl::StrCat(layout.ToString(), " ", Name(method)));
      }
    }
  }
}

// The mean is over the pairs of the whole batch, however they are divided.
TEST(PreferenceTest, MicroBatchesDoNotMatter) {
  for (const auto variant :
       {ops::PreferenceVariant::kSigmoid, ops::PreferenceVariant::kIpo}) {
    EngineConfig config = Config("llama", true);
    config.preference->rule.variant = variant;
    if (variant == ops::PreferenceVariant::kIpo) {
      config.preference->rule.label_smoothing = 0;
      // Its slopes are steep, so that AdamW makes more of rounding.
      config.update.schedule.learning_rate = 1e-4;
      config.update.schedule.min_learning_rate = 1e-4;
    }
    const Learned some = TrainPairs({}, config);
    config.micro_batch = 8;
    ExpectAlike(TrainPairs({}, config), some, "one micro-batch");
  }
}

// What is measured of a model is what a reference of the same weights says.
TEST(PreferenceTest, AStoredReferenceIsTheModelThatWasMeasured) {
  EngineConfig base = Config("llama", true);
  base.model.context = 8;
  EngineConfig stored = base;
  stored.preference->stored_reference = true;
  for (const Layout& layout :
       {Layout{}, Layout{1, 2, 2}, test::WithContext(2, {2, 1, 2})}) {
    double with_base = 0, with_stored = 0;
    EISBACH_EXPECT_OK(test::OnEngines(
        layout, base, [&](Engine& engine, int rank) -> absl::Status {
          EISBACH_ASSIGN_OR_RETURN(const StepInput input,
                                   PairInput(base, 1, engine.context()));
          EISBACH_ASSIGN_OR_RETURN(const StepResult result, engine.Step(input));
          if (rank == 0) with_base = result.loss;
          return absl::OkStatus();
        }));
    EISBACH_EXPECT_OK(test::OnEngines(
        layout, stored, [&](Engine& engine, int rank) -> absl::Status {
          EISBACH_ASSIGN_OR_RETURN(StepInput input,
                                   PairInput(stored, 1, engine.context()));
          EISBACH_ASSIGN_OR_RETURN(const std::vector<double> sums,
                                   engine.MeasurePairs(input));
          std::copy(sums.begin(), sums.end(), input.reference.data<double>());
          EISBACH_ASSIGN_OR_RETURN(const StepResult result, engine.Step(input));
          if (rank == 0) with_stored = result.loss;
          return absl::OkStatus();
        }));
    // New adapters change nothing, so that the margin is 0.
    EXPECT_NEAR(with_base, std::log(2.0), 1e-6);
    EXPECT_EQ(with_stored, with_base);
  }
}

TEST(PreferenceTest, InSixteenBits) {
  for (DType dtype : {DType::kBF16, DType::kF16}) {
    EngineConfig config = Config("llama", true);
    config.update.compute_dtype = dtype;
    const Learned one = TrainPairs({}, config);
    const Learned many = TrainPairs({2, 2, 2}, config);
    for (int i = 0; i < kSteps; ++i) {
      EXPECT_NEAR(many.trained.curve[i].loss, one.trained.curve[i].loss, 1e-2);
    }
  }
}

TEST(PreferenceTest, LearnsToPrefer) {
  EngineConfig config = Config("llama", true);
  config.preference->rule.label_smoothing = 0;
  config.update.schedule.learning_rate = 1e-2;
  config.update.schedule.min_learning_rate = 1e-2;
  EISBACH_EXPECT_OK(
      test::OnEngines({}, config, [&](Engine& engine, int) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(const StepInput input,
                                 PairInput(config, 1, engine.context()));
        StepResult result{};
        for (int step = 0; step < 60; ++step) {
          EISBACH_ASSIGN_OR_RETURN(result, engine.Step(input));
        }
        EXPECT_EQ(result.rewards->accuracy, 1);
        EXPECT_GT(result.rewards->margin(), 1);
        return absl::OkStatus();
      }));
}

TEST(PreferenceTest, WhatDoesNotFitIsRefused) {
  const auto refuses = [](const EngineConfig& config, const char* why) {
    EXPECT_THAT(Engine::Validate(config, Value(test::MeshOf({}))),
                StatusIs(absl::StatusCode::kInvalidArgument, why));
  };
  EngineConfig config = Config("llama", false);
  config.preference->stored_reference = false;
  refuses(config, "adapter.rank=0");
  config = Config("llama", true);
  config.model.adapter.saved = {"head"};
  refuses(config, "adapter.modules_to_save");
  config = Config("llama", true);
  config.preference->rule.beta = 0;
  refuses(config, "dpo.beta");
  config = Config("llama", true);
  EISBACH_EXPECT_OK(
      test::OnEngines({}, config, [&](Engine& engine, int) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(StepInput input,
                                 PairInput(config, 1, engine.context()));
        EXPECT_THAT(engine.MeasurePairs(input),
                    StatusIs(absl::StatusCode::kFailedPrecondition,
                             "dpo.reference=start"));
        input.starts = Tensor();
        EXPECT_THAT(engine.Step(input),
                    StatusIs(absl::StatusCode::kInvalidArgument, "starts"));
        return absl::OkStatus();
      }));
}

TEST(PreferenceTest, IsEstimated) {
  for (const Layout& layout :
       {Layout{1, 1, 2}, test::WithContext(3, {1, 1, 2})}) {
    const parallel::Mesh mesh = Value(test::MeshOf(layout));
    for (const bool adapters : {true, false}) {
      EXPECT_GT(Value(plan::EstimateMemory(Config("llama", adapters), mesh, 1))
                    .activations,
                0);
    }
  }
}

}  // namespace
}  // namespace eisbach::train::preference_test
