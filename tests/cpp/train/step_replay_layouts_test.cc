// Every choice of a layout on emulated GPUs: it trains like one rank of a CPU,
// a step is replayed with the bits of one that is given call by call, and the
// host never waits in it. Each case is a test of its own, whose name begins
// with the ranks that it needs.
#include <algorithm>
#include <vector>

#include "support/cuda/streams.h"
#include "support/gpu_toy.h"
#include "support/mpi_world.h"
#include "support/recipes.h"
#include "support/status_testing.h"
#include "support/trained.h"
#include "train/engine.h"
#include "train/step_replay.h"

namespace eisbach::train::step_replay_layouts_test {
namespace {

using test::Layout;
using test::Recipe;
using test::Training;

constexpr DType kCompute = DType::kF32;
constexpr int kSteps = 5;
constexpr int kReplays = kSteps - StepReplay::kRunsBeforeCapture;

EngineConfig ConfigOf(const Training& training, bool replays) {
  const Recipe& recipe = training.recipe;
  EngineConfig config = test::GpuToyConfig(recipe.family, 2, 1);
  const EngineConfig choices = recipe.Config();
  config.pipeline_schedule = choices.pipeline_schedule;
  config.chunks = choices.chunks;
  config.sequence = choices.sequence;
  config.recompute = choices.recompute;
  config.update.zero.zero = choices.update.zero.zero;
  config.context_method = choices.context_method;
  config.ulysses_group = choices.ulysses_group;
  config.update.optimizer = choices.update.optimizer;
  config.update.compute_dtype = kCompute;
  config.model.layers = training.layout.pipeline * std::max(2, recipe.chunks);
  config.update.bucket_bytes = 1 << 15;  // several
  config.micro_batch = 1;
  const int micro_batches = training.layout.pipeline > 1 ? 3 : 1;
  config.global_batch = training.layout.data * micro_batches;
  config.replays_steps = replays;
  return config;
}

struct Trained {
  test::Curve curve;
  std::vector<float> weights;
  // Of the host's in Submit, from the step on that takes no memory any more.
  int64_t waits = 0;
  int64_t allocations = 0;
  int64_t graph_launches = 0;
};

// Each step is given to the device while the result of the one before waits.
absl::StatusOr<Trained> Train(const Training& training, bool replays) {
  Trained trained;
  const auto collect = [&](Engine& engine) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(const StepResult result, engine.Collect());
    trained.curve.push_back(result);
    return absl::OkStatus();
  };
  const auto body = [&](Engine& engine) -> absl::Status {
    Device& device = engine.context().device();
    EISBACH_ASSIGN_OR_RETURN(const std::vector<StepInput> inputs,
                             test::ToyInputs(engine, kSteps));
    for (int step = 1; step <= kSteps; ++step) {
      const doubles::Counters before = doubles::counters();
      EISBACH_RETURN_IF_ERROR(engine.Submit(inputs[step]));
      const doubles::Counters after = doubles::counters();
      if (step > StepReplay::kRunsBeforeCapture) {
        trained.waits +=
            after.host_synchronisations - before.host_synchronisations;
        trained.allocations += after.allocations - before.allocations;
        trained.graph_launches += after.graph_launches - before.graph_launches;
      }
      if (step > 1) EISBACH_RETURN_IF_ERROR(collect(engine));
    }
    EISBACH_RETURN_IF_ERROR(collect(engine));
    for (const FlatBucket& bucket : engine.update().buffer().buckets()) {
      const size_t at = trained.weights.size();
      trained.weights.resize(at + bucket.master.elements());
      EISBACH_RETURN_IF_ERROR(
          device.CopyToHost(trained.weights.data() + at, bucket.master.raw(),
                            bucket.master.bytes(), device.compute_stream()));
      EISBACH_RETURN_IF_ERROR(device.compute_stream().Synchronize());
    }
    return absl::OkStatus();
  };
  EISBACH_RETURN_IF_ERROR(test::WithEngine(TestWorld(), training.layout,
                                           ConfigOf(training, replays), body));
  return trained;
}

class StepReplayLayoutsTest : public testing::TestWithParam<Training> {};

TEST_P(StepReplayLayoutsTest, SameBitsAndNoWaits) {
  const Trained want = test::Value(Train(GetParam(), false));
  const Trained got = test::Value(Train(GetParam(), true));
  EngineConfig alone = ConfigOf(GetParam(), false);
  alone.ulysses_group = 0;  // there is none
  test::ExpectCloseCurves(want.curve,
                          test::Value(test::Train({}, alone, kSteps)),
                          test::ToleranceOf(kCompute).curve, "curve");
  for (int i = 0; i < kSteps; ++i) {
    EXPECT_EQ(got.curve[i].loss, want.curve[i].loss);
    EXPECT_EQ(got.curve[i].grad_norm, want.curve[i].grad_norm);
  }
  EXPECT_EQ(got.weights, want.weights);
  for (const Trained* trained : {&want, &got}) {
    EXPECT_EQ(trained->waits, 0);
    EXPECT_EQ(trained->allocations, 0);
  }
  EXPECT_EQ(want.graph_launches, 0);
  EXPECT_EQ(got.graph_launches, kReplays);
}

std::vector<Training> Trainings() {
  std::vector<Training> trainings;
  for (const int zero : {1, 2, 3}) {
    Recipe recipe{"gpt", "1f1b", "adamw"};
    recipe.zero = zero;
    trainings.push_back({recipe, {2, 1, 1}});
    trainings.push_back({recipe, {2, 1, 2}});
    recipe.family = "llama";
    trainings.push_back({recipe, {2, 2, 1}});
  }
  for (const auto& [schedule, chunks] :
       {std::pair<const char*, int>{"interleaved", 2},
        {"zero_bubble", 1},
        {"zero_bubble", 2},
        {"zb_v", 2},
        {"dual_pipe_v", 2}}) {
    Recipe recipe{"gpt", schedule, "adamw"};
    recipe.chunks = chunks;
    trainings.push_back({recipe, {1, 1, 2}});
  }
  for (const auto method :
       {parallel::ContextMethod::kRing, parallel::ContextMethod::kUlysses}) {
    Recipe recipe{"llama", "1f1b", "adamw"};
    recipe.method = method;
    trainings.push_back({recipe, test::WithContext(2)});
    recipe.zero = 3;
    trainings.push_back({recipe, test::WithContext(2, {2, 1, 1})});
  }
  Recipe both{"llama", "1f1b", "adamw"};
  both.method = parallel::ContextMethod::kUlyssesRing;
  both.ulysses_group = 2;
  trainings.push_back({both, test::WithContext(4)});
  for (const auto recompute :
       {nn::Recompute::kSelective, nn::Recompute::kBlock}) {
    Recipe recipe{"llama", "1f1b", "muon"};
    recipe.sequence = true;
    recipe.recompute = recompute;
    trainings.push_back({recipe, {1, 2, 1}});
  }
  return trainings;
}

INSTANTIATE_TEST_SUITE_P(All, StepReplayLayoutsTest,
                         testing::ValuesIn(Trainings()), [](const auto& info) {
                           return info.param.ToString();
                         });

}  // namespace
}  // namespace eisbach::train::step_replay_layouts_test
