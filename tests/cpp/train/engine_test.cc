#include "train/engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <mutex>

#include "support/curves.h"
#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::train::engine_test {
namespace {

using test::Layout;
using test::StatusIs;

absl::Status ValidateOn(const Layout& layout, const EngineConfig& config) {
  return Engine::Validate(config, test::Value(test::MeshOf(layout)));
}

TEST(EngineTest, SizesThatDoNotFitNameKeyAndNearest) {
  const auto bad = absl::StatusCode::kInvalidArgument;
  EngineConfig config = test::ToyConfig("gpt");
  EXPECT_THAT(ValidateOn({1, 5, 1}, config),
              StatusIs(bad, "tensor=5 does not divide heads=24"));
  EXPECT_THAT(ValidateOn({1, 1, 9}, config), StatusIs(bad, "8"));
  EXPECT_THAT(ValidateOn({7, 1, 1}, config),
              StatusIs(bad, "nearest that works: 21"));
  config.pipeline_schedule = "2f2b";
  EXPECT_THAT(ValidateOn({}, config), StatusIs(bad, "1f1b"));
  config.pipeline_schedule = "zb_v";
  EXPECT_THAT(ValidateOn({1, 1, 8}, config),
              StatusIs(bad, "nearest that works: model.layers=16"));
  config.chunks = 3;
  EXPECT_THAT(ValidateOn({1, 1, 2}, config),
              StatusIs(bad, "not 3 (parallel.chunks); nearest that works: 2"));
  config.chunks = 2;
  config.layers_per_stage = {4, 4};
  EXPECT_THAT(
      ValidateOn({1, 1, 2}, config),
      StatusIs(bad,
               "layers_per_stage=[4, 4] has 2 entries, but "
               "parallel.pipeline=2 x parallel.chunks=2; one that works: "));
  config.layers_per_stage = {1, 3, 2, 2};
  EISBACH_EXPECT_OK(ValidateOn({1, 1, 2}, config));
  config = test::ToyConfig("gpt");
  config.sequence = true;
  EXPECT_THAT(ValidateOn({1, 3, 1}, config),
              StatusIs(bad,
                       "tensor=3 does not divide the 8 tokens of micro_batch=1 "
                       "x 8 positions (parallel.sequence, model.context)"));
  EISBACH_EXPECT_OK(ValidateOn({1, 4, 1}, config));
  EISBACH_EXPECT_OK(ValidateOn({}, config));
  config = test::ToyConfig("gpt");
  config.recompute_layers = 2;
  EXPECT_THAT(ValidateOn({}, config),
              StatusIs(bad, "no meaning where train.recompute=none"));
  config.recompute = nn::Recompute::kSelective;
  EISBACH_EXPECT_OK(ValidateOn({1, 1, 2}, config));
  config.recompute_layers = 5;
  EXPECT_THAT(ValidateOn({1, 1, 2}, config),
              StatusIs(bad, "recompute_layers=5 is outside 0 to 4"));
  config = test::ToyConfig("gpt");
  config.model.kv_heads = 23;
  EXPECT_THAT(ValidateOn({}, config),
              StatusIs(bad, "kv_heads=23 does not divide heads=24"));
}

TEST(EngineTest, NumbersThatF32DoesNotHoldNameKeyAndBound) {
  const auto expect = [](auto change, const char* part) {
    EngineConfig config = test::ToyConfig("gpt");
    change(config);
    EXPECT_THAT(ValidateOn({}, config),
                StatusIs(absl::StatusCode::kInvalidArgument, part));
  };
  expect([](auto& c) { c.update.clip_grad_norm = 1e39; },
         "the most that f32 holds (optimizer.clip_grad_norm)");
  expect([](auto& c) { c.update.clip_grad_norm = 1e-300; },
         "nearest that works: 1.2e-38");
  expect([](auto& c) { c.update.clip_grad_norm = -1; },
         "optimizer.clip_grad_norm");
  expect([](auto& c) { c.update.schedule.learning_rate = 1e39; },
         "optimizer.lr");
  expect([](auto& c) { c.update.optimizer.eps = 1e-300; }, "optimizer.eps");
  expect([](auto& c) { c.update.optimizer.weight_decay = 1e39; },
         "optimizer.weight_decay");
  expect([](auto& c) { c.model.norm_eps = 1e-300; }, "model.norm_eps");
}

// The mean loss of a batch, which every layout must agree on.
absl::StatusOr<double> EvaluateOn(const Layout& layout) {
  double loss = 0;
  EISBACH_RETURN_IF_ERROR(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(
            world, layout, test::ToyConfig("llama"),
            [&](Engine& engine) -> absl::Status {
              EISBACH_ASSIGN_OR_RETURN(StepInput input,
                                       test::ToyInput(engine, 1));
              EISBACH_ASSIGN_OR_RETURN(double value, engine.Evaluate(input));
              if (world.rank() == world.size() - 1) loss = value;
              return absl::OkStatus();
            });
      }));
  return loss;
}

TEST(EngineTest, EvaluationIsTheSameOnEveryLayout) {
  const double want = test::Value(EvaluateOn({}));
  EXPECT_NEAR(want, std::log(101), 0.1);
  for (const Layout& layout :
       {Layout{2, 1, 1}, Layout{1, 3, 1}, Layout{1, 1, 4}, Layout{2, 2, 2}}) {
    EXPECT_NEAR(test::Value(EvaluateOn(layout)), want, 1e-5 * want)
        << layout.ToString();
  }
}

TEST(EngineTest, StepsAllocateNothingAfterTheSecond) {
  EISBACH_EXPECT_OK(
      comm::RunLocalRanks(4, DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(
            world, {1, 2, 2}, test::ToyConfig("gpt"),
            [&](Engine& engine) -> absl::Status {
              int64_t after_second = 0;
              for (int step = 1; step <= 6; ++step) {
                EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
                const int64_t taken =
                    world.device().memory().system_allocations;
                if (step == 2) after_second = taken;
                if (step > 2) {
                  EXPECT_EQ(taken, after_second);
                }
              }
              return absl::OkStatus();
            });
      }));
}

// Plants a NaN in one weight of one stage; every rank must name it.
TEST(EngineTest, NonFiniteValuesAreTracedToTheirTensor) {
  for (const Layout& layout : {Layout{1, 1, 1}, Layout{1, 2, 2}}) {
    int told = 0;
    std::mutex mutex;
    EISBACH_EXPECT_OK(comm::RunLocalRanks(
        layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
          return test::WithEngine(
              world, layout, test::ToyConfig("gpt"),
              [&](Engine& engine) -> absl::Status {
                EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
                for (Parameter* parameter : engine.update().parameters()) {
                  if (parameter->spec().name != "blocks.6.mlp.up.weight" ||
                      engine.context().index(Axis::kTensor) != 0) {
                    continue;
                  }
                  parameter->master().data<float>()[5] =
                      std::numeric_limits<float>::quiet_NaN();
                }
                const absl::Status status = test::ToyStep(engine).status();
                EXPECT_THAT(status,
                            StatusIs(absl::StatusCode::kDataLoss,
                                     "the parameter blocks.6.mlp.up.weight"));
                EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss,
                                             "at step 2: rank "));
                std::lock_guard<std::mutex> lock(mutex);
                ++told;
                return absl::OkStatus();
              });
        }));
    EXPECT_EQ(told, layout.ranks());
  }
}

TEST(EngineTest, StepsCanBeCollectedLater) {
  const auto losses = [](int lag) {
    std::vector<double> losses;
    EISBACH_EXPECT_OK(
        comm::RunLocalRanks(1, DeviceType::kCpu, 1, [&](comm::World& world) {
          return test::WithEngine(
              world, {}, test::ToyConfig("gpt"),
              [&](Engine& engine) -> absl::Status {
                for (int step = 1; step <= 5 + lag; ++step) {
                  if (step <= 5) {
                    EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
                  }
                  if (step <= lag) continue;
                  EISBACH_ASSIGN_OR_RETURN(StepResult result, engine.Collect());
                  EXPECT_EQ(result.step, step - lag);
                  losses.push_back(result.loss);
                }
                EXPECT_EQ(engine.submitted(), 0);
                EXPECT_TRUE(
                    absl::IsFailedPrecondition(engine.Collect().status()));
                return absl::OkStatus();
              });
        }));
    return losses;
  };
  const std::vector<double> at_once = losses(0);
  EXPECT_EQ(at_once.size(), 5);
  EXPECT_EQ(losses(1), at_once);
  EXPECT_EQ(losses(3), at_once);
}

// A step that goes wrong while the next is on its way loses no weights.
TEST(EngineTest, StepsAfterOneThatIsNotFiniteAreVoid) {
  EISBACH_EXPECT_OK(
      comm::RunLocalRanks(1, DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(
            world, {}, test::ToyConfig("gpt"),
            [&](Engine& engine) -> absl::Status {
              EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
              Parameter& parameter = *engine.update().parameters()[0];
              float& weight = parameter.master().data<float>()[5];
              float& other = parameter.master().data<float>()[6];
              const float saved = weight, untouched = other;
              weight = std::numeric_limits<float>::quiet_NaN();
              EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
              // As if the values had become finite again by themselves.
              weight = saved;
              EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
              EXPECT_EQ(other, untouched);
              weight = std::numeric_limits<float>::quiet_NaN();
              EXPECT_THAT(engine.Collect(),
                          StatusIs(absl::StatusCode::kDataLoss, "at step 2"));
              EXPECT_EQ(engine.submitted(), 0);
              EXPECT_EQ(other, untouched);
              weight = saved;
              EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
              EXPECT_NE(other, untouched);
              return absl::OkStatus();
            });
      }));
}

}  // namespace
}  // namespace eisbach::train::engine_test
