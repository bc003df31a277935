// Parameters that are frozen, or trained otherwise than the rest.

#include <gtest/gtest.h>

#include <map>

#include "checkpoint/folder.h"
#include "checkpoint/gather.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "plan/estimate.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::train::frozen_test {
namespace {

using test::Layout;
using test::StatusIs;
using test::Value;
using Values = std::map<std::string, std::vector<float>>;

Values Gather(Engine& engine, checkpoint::ParameterValue value =
                                  checkpoint::ParameterValue::kMaster) {
  Values values;
  for (checkpoint::LogicalTensor& tensor : Value(checkpoint::GatherParameters(
           engine.update().parameters(), value, engine.context()))) {
    values[tensor.name] = std::move(tensor.values);
  }
  return values;
}

// SGD without clipping: a parameter's step depends on its own gradient alone.
EngineConfig Config(const std::string& family = "gpt") {
  EngineConfig config = test::SmallConfig(family);
  config.update.optimizer.name = "sgd";
  config.update.clip_grad_norm = 0;
  config.update.schedule.learning_rate = 0.05;
  return config;
}

void Freeze(EngineConfig& config, std::vector<std::string> patterns) {
  config.update.optimizer.groups.push_back(
      {.patterns = std::move(patterns), .frozen = true});
}

struct Result {
  Values before, gradients, after;
};

Result OneStep(const EngineConfig& config) {
  Result result;
  EISBACH_EXPECT_OK(
      test::OnEngines({}, config, [&](Engine& engine, int) -> absl::Status {
        result.before = Gather(engine);
        EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        result.gradients =
            Gather(engine, checkpoint::ParameterValue::kGradient);
        result.after = Gather(engine);
        return absl::OkStatus();
      }));
  return result;
}

// Whatever is frozen, the rest makes the very step that it makes otherwise:
// matrices, vectors, tables, all of a block and all before it, one half of a
// layer.
TEST(FrozenTest, TheRestTrainsAsBefore) {
  for (const char* family : {"gpt", "llama"}) {
    for (const nn::Recompute recompute :
         {nn::Recompute::kNothing, nn::Recompute::kSelective,
          nn::Recompute::kBlock}) {
      EngineConfig config = Config(family);
      config.recompute = recompute;
      const Result plain = OneStep(config);
      for (const char* pattern :
           {"*embedding*", "blocks.[0-2].*", "*norm*", "*mlp*", "*.weight",
            "*attention*", "*norm1.weight", "blocks.4.*"}) {
        EngineConfig frozen = config;
        Freeze(frozen, {pattern});
        if (family == std::string("llama") &&
            pattern == std::string("*.weight")) {
          continue;  // it has no vectors but those
        }
        const Result result = OneStep(frozen);
        size_t still = 0;
        for (const auto& [name, values] : plain.after) {
          const bool trained = result.gradients.contains(name);
          still += !trained;
          const auto same = [&](const auto& a, const auto& b) {
            EXPECT_TRUE(a == b) << pattern << " " << name;
          };
          same(result.before.at(name), plain.before.at(name));
          same(result.after.at(name), trained ? values : plain.before.at(name));
          if (!trained) continue;
          same(result.gradients.at(name), plain.gradients.at(name));
        }
        EXPECT_GT(still, 0) << pattern;
        EXPECT_LT(still, plain.after.size()) << pattern;
      }
    }
  }
}

TEST(FrozenTest, RateAndDecayAreTheGroups) {
  const EngineConfig config = Config();
  const Result plain = OneStep(config);
  EngineConfig grouped = config;
  grouped.update.optimizer.groups = {
      {.patterns = {"*norm*"}, .rate_factor = 0.5, .weight_decay = 0.3}};
  const Result result = OneStep(grouped);
  for (const auto& [name, before] : plain.before) {
    if (name.find("norm") == std::string::npos) {
      EXPECT_TRUE(result.after.at(name) == plain.after.at(name)) << name;
      continue;
    }
    const std::vector<float>& gradient = plain.gradients.at(name);
    for (size_t i = 0; i < before.size(); ++i) {
      const double step = 0.025 * (gradient[i] + 0.3 * before[i]);
      EXPECT_NEAR(result.after.at(name)[i], before[i] - step, 1e-7) << name;
    }
  }
}

// Also where one stage trains nothing at all; a base in bf16 is kept in bf16.
TEST(FrozenTest, EveryLayoutSavesLoadsAndTrainsLikeOneRank) {
  for (DType dtype : {DType::kF32, DType::kBF16}) {
    EngineConfig config = Config("llama");
    config.update.compute_dtype = dtype;
    config.update.optimizer.momentum = 0.9;
    Freeze(config, {"embedding*", "blocks.[0-2].*"});
    Values one;
    for (const Layout& layout : test::kLayouts) {
      const test::TempFolder temp;
      Values before, saved, loaded;
      EISBACH_EXPECT_OK(test::OnEngines(
          layout, config, [&](Engine& engine, int rank) -> absl::Status {
            const Values start = Gather(engine);
            for (int step = 0; step < 3; ++step) {
              EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
            }
            const Values end = Gather(engine);
            if (rank == 0) before = start, saved = end;
            return test::SaveEngine(temp.path(), engine).status();
          }));
      EISBACH_EXPECT_OK(test::OnEngines(
          layout, config, [&](Engine& engine, int rank) -> absl::Status {
            EISBACH_RETURN_IF_ERROR(test::LoadEngine(
                checkpoint::StepFolder(temp.path(), 3), engine));
            const Values values = Gather(engine);
            if (rank == 0) loaded = values;
            return absl::OkStatus();
          }));
      EXPECT_TRUE(saved == loaded) << layout.ToString();
      if (one.empty()) one = saved;
      for (const auto& [name, values] : saved) {
        const bool frozen = name.starts_with("embedding") ||
                            (name.starts_with("blocks.") && name[7] < '3');
        EXPECT_EQ(values == before.at(name), frozen) << name;
        for (size_t i = 0; i < values.size(); ++i) {
          ASSERT_NEAR(values[i], one.at(name)[i],
                      dtype == DType::kF32 ? 1e-5 : 1e-3)
              << layout.ToString() << " " << name;
        }
      }
    }
  }
}

TEST(FrozenTest, WhatIsFrozenHasNeitherGradientNorMasterNorState) {
  EngineConfig config = Config();
  config.update.optimizer.name = "adamw";
  config.update.compute_dtype = DType::kBF16;
  const parallel::Mesh mesh = Value(test::MeshOf({}));
  const plan::RankMemory all = Value(plan::EstimateMemory(config, mesh, 0));
  Freeze(config, {"embedding.*", "blocks.[0-3].*"});
  const plan::RankMemory some = Value(plan::EstimateMemory(config, mesh, 0));
  EXPECT_EQ(some.parameters, all.parameters);
  EXPECT_NEAR(some.weights, all.weights, 0.1 * all.weights);
  EXPECT_LT(some.gradients, 0.4 * all.gradients);
  EXPECT_LT(some.masters, 0.4 * all.masters);
  EXPECT_EQ(some.optimizer, 2 * some.gradients);
  EXPECT_LT(some.activations, all.activations);
}

TEST(FrozenTest, NamesAreThoseOfTheWholeModel) {
  EngineConfig config = Config();
  Freeze(config, {"blocks.7.*"});
  const parallel::Mesh mesh = Value(test::MeshOf({1, 1, 2}));
  EXPECT_THAT(Engine::Validate(config, mesh),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "\"blocks.7.*\" is the name of no parameter"));
  config.update.optimizer.groups[0].patterns = {"blocks.4.*"};
  EISBACH_EXPECT_OK(Engine::Validate(config, mesh));
}

// A checkpoint of a run that has trained less.
TEST(FrozenTest, StateThatACheckpointHasNotIsNamed) {
  EngineConfig config = Config();
  config.update.optimizer.name = "adamw";
  EngineConfig frozen = config;
  Freeze(frozen, {"blocks.0.*"});
  const test::TempFolder temp;
  EISBACH_EXPECT_OK(test::OnEngines({}, frozen, [&](Engine& engine, int) {
    return test::SaveEngine(temp.path(), engine).status();
  }));
  EXPECT_THAT(test::OnEngines({}, config,
                              [&](Engine& engine, int) {
                                return test::LoadEngine(
                                    checkpoint::StepFolder(temp.path(), 0),
                                    engine);
                              }),
              StatusIs(absl::StatusCode::kNotFound, "blocks.0."));
}

}  // namespace
}  // namespace eisbach::train::frozen_test
