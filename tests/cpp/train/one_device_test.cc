// What one device trains, beside one rank on the CPU, and beside itself where
// it captures its steps. On a GPU this is the shortest way to see whether
// training is right there.

#include <gtest/gtest.h>

#include "support/device_testing.h"
#include "support/gpu_toy.h"
#include "support/recipes.h"
#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::one_device_test {
namespace {

using test::Recipe;
using test::Trained;

// Two call by call, the third is captured, the others are replays.
constexpr int kSteps = 5;

struct Case {
  Recipe recipe;
  bool recompute = false;
  bool deferred_weights = false;
  bool adapters = false;

  std::string ToString() const {
    return absl::StrCat(recipe.ToString(), recompute ? "_recompute" : "",
                        deferred_weights ? "_deferred" : "",
                        adapters ? "_adapters" : "");
  }
  friend void PrintTo(const Case& c, std::ostream* out) {
    *out << c.ToString();
  }

  EngineConfig Config() const {
    EngineConfig config = test::GpuToyConfig(recipe.family, 2, 2);
    config.update = recipe.Config().update;
    config.update.bucket_bytes = 1 << 15;  // several
    config.pipeline_schedule = recipe.schedule;
    if (recompute) config.recompute = nn::Recompute::kBlock;
    config.deferred_weights = deferred_weights;
    // An odd rank: columns that begin anywhere.
    if (adapters) {
      config.model.adapter = {.rank = 3, .alpha = 6, .dropout = 0.1};
    }
    return config;
  }
};

class OneDeviceTest : public testing::TestWithParam<Case> {
 protected:
  // Of a run: its curve, the first gradients, the weights at the end.
  struct Outcome {
    Trained trained;
    test::Gradients weights;
  };

  static Outcome Train(const EngineConfig& config) {
    Outcome outcome;
    // Before the world: a device that is not there ends the program.
    const DeviceType type = test::TestedType();
    auto world = test::Value(comm::InitWorld(type));
    EISBACH_EXPECT_OK(test::WithEngine(
        *world, {}, config, [&](Engine& engine) -> absl::Status {
          EXPECT_EQ(engine.context().device().captures_work(),
                    type == DeviceType::kCuda);
          EISBACH_ASSIGN_OR_RETURN(outcome.trained,
                                   test::TrainAndGather(engine, kSteps));
          EISBACH_ASSIGN_OR_RETURN(
              outcome.weights,
              checkpoint::GatherParameters(engine.update().parameters(),
                                           checkpoint::ParameterValue::kMaster,
                                           engine.context()));
          return absl::OkStatus();
        }));
    return outcome;
  }
};

TEST_P(OneDeviceTest, TrainsLikeTheCpu) {
  const EngineConfig config = GetParam().Config();
  // Other micro-batches, so that on the CPU this is a question, too.
  EngineConfig plain = config;
  plain.micro_batch = 1;
  plain.recompute = nn::Recompute::kNothing;
  plain.deferred_weights = false;
  const Trained want = test::Value(test::TrainAndGather({}, plain, kSteps));
  test::ExpectTrainsLike(Train(config).trained, want,
                         test::ToleranceOf(GetParam().recipe.compute),
                         GetParam().ToString());
}

TEST_P(OneDeviceTest, CapturedStepsGiveTheSameBits) {
  EngineConfig config = GetParam().Config();
  config.model.dropout = 0.1f;  // whose bits are others in each step
  const Outcome captured = Train(config);
  config.replays_steps = false;
  const Outcome want = Train(config);
  test::ExpectSameCurves(captured.trained.curve, want.trained.curve,
                         GetParam().ToString());
  ASSERT_EQ(captured.weights.size(), want.weights.size());
  ASSERT_FALSE(want.weights.empty());
  for (size_t i = 0; i < want.weights.size(); ++i) {
    EXPECT_EQ(captured.weights[i].values, want.weights[i].values)
        << want.weights[i].name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, OneDeviceTest,
    testing::Values(
        Case{{"gpt", "1f1b", "adamw"}}, Case{{"llama", "1f1b", "sgd"}},
        Case{{"gpt", "1f1b", "adamw", DType::kBF16}},
        Case{{"llama", "1f1b", "adamw", DType::kBF16}},
        Case{{"gpt", "1f1b", "adamw", DType::kF16}},
        Case{{"llama", "gpipe", "adamw", DType::kF32, /*groups=*/true}},
        Case{{"gpt", "1f1b", "adamw", DType::kBF16}, /*recompute=*/true},
        Case{{"llama", "1f1b", "adamw", DType::kBF16}, true, true},
        Case{{"gpt", "1f1b", "adamw"}, false, false, true},
        Case{{"llama", "1f1b", "adamw", DType::kBF16}, true, true, true}),
    [](const auto& info) { return info.param.ToString(); });

}  // namespace
}  // namespace eisbach::train::one_device_test
