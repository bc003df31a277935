#include "plan/experts.h"

#include <gtest/gtest.h>

#include "cpp/plan/plan_testing.h"
#include "support/status_testing.h"

namespace eisbach::plan::experts_test {
namespace {

struct Published {
  models::ModelConfig model;
  Experts experts;
};

models::ModelConfig Model(const std::string& family) {
  models::ModelConfig model = test::ToyModel(family);
  model.tie_embeddings = false;
  return model;
}

// Qwen3 Technical Report (arXiv:2505.09388), table 2.
Published Qwen30B() {
  models::ModelConfig model = Model("qwen3");
  model.layers = 48;
  model.hidden = 2048;
  model.heads = 32;
  model.kv_heads = 4;
  model.head_dim = 128;
  model.vocab = 151936;
  return {model, {.count = 128, .per_token = 8, .hidden = 768}};
}

Published Qwen235B() {
  Published one = Qwen30B();
  one.model.layers = 94;
  one.model.hidden = 4096;
  one.model.heads = 64;
  one.experts.hidden = 1536;
  return one;
}

// gpt-oss model card (arXiv:2508.10925), table 1.
Published GptOss120B() {
  models::ModelConfig model = Model("llama");
  model.layers = 36;
  model.hidden = 2880;
  model.heads = 64;
  model.kv_heads = 8;
  model.head_dim = 64;
  model.vocab = 201088;
  model.architecture.qkv_bias = model.architecture.output_bias = true;
  model.architecture.mlp_bias = true;
  return {model, {.count = 128, .per_token = 4, .hidden = 2880}};
}

TEST(ExpertsTest, ModelsHaveThePublishedNumbers) {
  const struct {
    Published of;
    double all, active;  // billions
  } models[] = {{Qwen30B(), 30.5, 3.35},
                {Qwen235B(), 235, 22.2},
                {GptOss120B(), 116.8, 5.7}};
  for (const auto& [of, all, active] : models) {
    const ModelSize size = SizeOf(of.model, of.experts);
    EXPECT_NEAR(static_cast<double>(size.parameters) / 1e9, all, 0.01 * all);
    EXPECT_NEAR(static_cast<double>(size.active) / 1e9, active, 0.01 * active);
  }
}

// What a token needs is that of a dense model of the active width, and the
// router.
TEST(ExpertsTest, FlopsAreThoseOfWhatATokenMeets) {
  const auto& [model, experts] = Qwen30B();
  models::ModelConfig active = model;
  active.ffn_hidden = 8 * 768;
  EXPECT_DOUBLE_EQ(
      SizeOf(model, experts).flops_per_token,
      models::TrainingFlopsPerToken(active) + 6.0 * 48 * 2048 * 128);
  const ModelSize dense = SizeOf(active, {});
  EXPECT_EQ(dense.parameters, models::ParameterCount(active));
  EXPECT_EQ(dense.active, dense.parameters);
  // One alone is the MLP: no router chooses.
  const ModelSize one = SizeOf(active, {.count = 1, .hidden = 8 * 768});
  EXPECT_EQ(one.parameters, dense.parameters);
  EXPECT_EQ(one.flops_per_token, dense.flops_per_token);
}

TEST(ExpertsTest, WhatIsSharedIsMetByAll) {
  const models::ModelConfig model = Model("llama");
  const Experts routed{.count = 8, .per_token = 2, .hidden = 24};
  Experts shared = routed;
  shared.shared_hidden = 48;
  const ModelSize without = SizeOf(model, routed), with = SizeOf(model, shared);
  const int64_t more = model.layers * 3 * model.hidden * 48;
  EXPECT_EQ(with.parameters - without.parameters, more);
  EXPECT_EQ(with.active - without.active, more);
  EXPECT_DOUBLE_EQ(with.flops_per_token - without.flops_per_token, 6.0 * more);
}

TEST(ExpertsTest, InTheirPlaceRunsWhatIsToldFromTheRest) {
  train::EngineConfig config = test::ToyConfig("llama");
  const auto width = [&](int64_t per_token, int64_t hidden) {
    return test::Value(
               DenseOf(config,
                       {.count = 8, .per_token = per_token, .hidden = hidden}))
        .model.ffn_hidden;
  };
  EXPECT_EQ(width(2, 100), 200);
  // 96 is `hidden`; on 12 tensor ranks queries, a key and a value are 16 rows,
  // as are 192 and 96 of gate and up.
  EXPECT_EQ(width(2, 48), 96 + 5 * 24);
  EXPECT_EQ(test::Value(DenseOf(config, {})).model.ffn_hidden, 192);
  config.update.zero.group = 2;
  EXPECT_THAT(DenseOf(config, {.count = 8, .per_token = 2, .hidden = 100}),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "zero_group=2 (parallel.zero_group)"));
}

TEST(ExpertsTest, WhatCannotBeIsRefusedWithTheNearest) {
  train::EngineConfig config = test::ToyConfig("llama");
  const auto refusal = [&](const Experts& experts) {
    return Check(experts, config);
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_TRUE(refusal({}).ok());
  EXPECT_TRUE(refusal({.count = 8, .per_token = 8, .hidden = 1}).ok());
  EXPECT_THAT(refusal({.count = -1}),
              test::StatusIs(kInvalid, "experts=-1 is below 0"));
  EXPECT_THAT(refusal({.count = 8, .per_token = 9, .hidden = 1}),
              test::StatusIs(kInvalid,
                             "experts_per_token=9 is not between 1 and "
                             "experts=8; nearest that works: "
                             "experts_per_token=8"));
  EXPECT_THAT(refusal({.count = 8, .per_token = 0, .hidden = 1}),
              test::StatusIs(kInvalid, "works: experts_per_token=1"));
  EXPECT_THAT(refusal({.count = 8, .per_token = 1, .hidden = 0}),
              test::StatusIs(kInvalid, "expert_hidden=0 is below 1"));
  EXPECT_THAT(
      refusal({.count = 8, .per_token = 1, .hidden = 1, .shared_hidden = -2}),
      test::StatusIs(kInvalid, "shared_hidden=-2 is below 0"));
  // Of each a token of the step makes something.
  config.global_batch = 4;
  config.model.context = 64;
  EXPECT_TRUE(refusal({.count = 512, .per_token = 2, .hidden = 1}).ok());
  EXPECT_THAT(refusal({.count = 513, .per_token = 2, .hidden = 1}),
              test::StatusIs(kInvalid, "nearest that works: experts=512"));
  config.model.adapter.rank = 4;
  EXPECT_THAT(refusal({.count = 8, .per_token = 1, .hidden = 1}),
              test::StatusIs(kInvalid, "nearest that works: adapter.rank=0"));
}

TEST(ExpertsTest, RanksDivideExpertsAndAreThoseOfAStage) {
  const parallel::Mesh mesh = test::Value(parallel::MakeMesh(
      24, {.data = 3, .tensor = 2, .pipeline = 2, .context = 2}));
  const auto refusal = [&](int ranks) {
    return Check({.count = 16, .per_token = 2, .hidden = 8, .ranks = ranks},
                 mesh);
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  for (const int ranks : {1, 2, 4}) EXPECT_TRUE(refusal(ranks).ok());
  EXPECT_THAT(refusal(8),
              test::StatusIs(kInvalid,
                             "expert_parallel=8 does not divide the 12 ranks "
                             "of a stage (data x context x tensor); nearest "
                             "that works: expert_parallel=4"));
  EXPECT_THAT(refusal(3),
              test::StatusIs(kInvalid,
                             "expert_parallel=3 does not divide experts=16; "
                             "nearest that works: expert_parallel=2"));
  EXPECT_FALSE(refusal(0).ok());
  EXPECT_TRUE(Check(Experts{.ranks = 7}, mesh).ok());
}

TEST(ExpertsTest, AWeightTakesWhatTheEngineSays) {
  train::EngineConfig config = test::ToyConfig("llama");
  config.update.compute_dtype = DType::kBF16;
  RankMemory bytes = test::Value(BytesOfWeight(config));
  EXPECT_EQ(bytes.weights, 2);
  EXPECT_EQ(bytes.masters, 4);
  EXPECT_EQ(bytes.gradients, 4);
  EXPECT_EQ(bytes.optimizer, 8);
  config.update.compute_dtype = DType::kF32;
  config.update.optimizer.name = "lion";
  bytes = test::Value(BytesOfWeight(config));
  EXPECT_EQ(bytes.weights, 4);
  EXPECT_EQ(bytes.masters, 0);
  EXPECT_EQ(bytes.optimizer, 4);
}

// Of a rank's state, the experts' part is `count / ranks` of them, which those
// ranks divide that have the same.
TEST(ExpertsTest, StateGrowsWithTheExpertsOfARank) {
  train::EngineConfig config = test::ToyConfig("llama");
  const parallel::Mesh mesh = test::Value(parallel::MakeMesh(8, {.data = 8}));
  const auto state = [&](int64_t count, int ranks, int zero) {
    const Experts experts{
        .count = count, .per_token = 2, .hidden = 100, .ranks = ranks};
    config.update.zero.zero = zero;
    return test::Value(WithExperts(
        RankMemory{}, test::Value(DenseOf(config, experts)), mesh, experts, 1));
  };
  const int64_t expert = 3 * 96 * 100;
  for (const int64_t ranks : {1, 2, 4}) {
    const RankMemory one = state(16, static_cast<int>(ranks), 0);
    const RankMemory half = state(16, static_cast<int>(2 * ranks), 0);
    EXPECT_EQ(one.parameters - half.parameters, 8 / ranks * expert) << ranks;
    EXPECT_EQ(one.gradients - half.gradients, 4 * 8 / ranks * expert);
    EXPECT_EQ(one.optimizer - half.optimizer, 8 * 8 / ranks * expert);
  }
  // Fewer ranks have the same the more divide them.
  EXPECT_EQ(state(16, 2, 1).optimizer, state(16, 1, 1).optimizer);
  EXPECT_EQ(state(16, 8, 3).weights, state(16, 1, 3).weights);
  EXPECT_EQ(state(16, 8, 1).weights, state(16, 8, 0).weights);
}

}  // namespace
}  // namespace eisbach::plan::experts_test
