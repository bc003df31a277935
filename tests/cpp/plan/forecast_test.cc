#include "plan/forecast.h"

#include <gtest/gtest.h>

#include "cpp/plan/plan_testing.h"
#include "parallel/pipeline/simulate.h"
#include "plan/estimate.h"
#include "support/status_testing.h"

namespace eisbach::plan::forecast_test {
namespace {

using test::Layout;

train::EngineConfig Config(const std::string& family = "llama") {
  train::EngineConfig config = test::ToyConfig(family);
  config.model.context = 64;
  config.global_batch = 48;
  config.micro_batch = 1;
  return config;
}

Forecast On(const train::EngineConfig& config, const Layout& layout,
            const Hardware& machine = RoundMachine()) {
  return test::Value(
      ForecastStep(config, test::Value(test::MeshOf(layout)), machine, {}));
}

TEST(ForecastTest, OneDeviceTakesTheSumOfItsOps) {
  const Forecast forecast = On(Config(), {});
  ASSERT_EQ(forecast.stages.size(), 1);
  EXPECT_EQ(forecast.micro_batches, 48);
  EXPECT_EQ(forecast.bubble, 0);
  EXPECT_NEAR(forecast.busy().sum(), forecast.seconds, 1e-6 * forecast.seconds);
  EXPECT_EQ(forecast.busy().communication, 0);
  EXPECT_NEAR(forecast.tokens_per_second, 48 * 64 / forecast.seconds, 1e-6);
}

// The model without its adapters goes forward as well, beside what the schedule
// has.
TEST(ForecastTest, PreferencesTakeTheSumOfTheirOps) {
  train::EngineConfig config = Config();
  config.model.adapter = {.rank = 3, .alpha = 6};
  config.preference = train::PreferenceConfig{.rule = {.beta = 0.1}};
  const Forecast forecast = On(config, {});
  EXPECT_NEAR(forecast.bubble, 0, 1e-9);
  EXPECT_NEAR(forecast.busy().sum(), forecast.seconds, 1e-6 * forecast.seconds);
}

// What few micro-batches tell is what all of them would.
TEST(ForecastTest, MicroBatchesAreAlike) {
  for (const Layout& layout :
       {Layout{}, Layout{2, 1, 1}, Layout{1, 2, 1}, Layout{2, 2, 2}}) {
    train::EngineConfig config = Config();
    config.global_batch = 4 * layout.data;
    const double four = On(config, layout).seconds;
    config.global_batch = 8 * layout.data;
    const double eight = On(config, layout).seconds;
    config.global_batch = 12 * layout.data;
    const double twelve = On(config, layout).seconds;
    EXPECT_GT(eight, four) << layout.ToString();
    EXPECT_NEAR(twelve - eight, eight - four, 1e-6 * twelve)
        << layout.ToString();
  }
}

// Of many micro-batches a few are simulated, which is what all would take.
TEST(ForecastTest, ManyMicroBatchesGrowAStepEvenly) {
  Hardware machine = RoundMachine();
  machine.domain = {.devices = 4, .bandwidth = 1e18};  // nothing travels
  for (const auto& [schedule, chunks] :
       std::initializer_list<std::pair<std::string, int>>{{"1f1b", 1},
                                                          {"interleaved", 2},
                                                          {"gpipe", 1},
                                                          {"zero_bubble", 1},
                                                          {"zero_bubble", 2},
                                                          {"zb_v", 2},
                                                          {"dual_pipe_v", 2}}) {
    for (const int stages : {2, 4}) {
      for (const int micro_batches : {16, 17, 22, 33, 48}) {
        train::EngineConfig config = Config();
        config.pipeline_schedule = schedule;
        config.chunks = chunks;
        config.global_batch = micro_batches;
        const Forecast forecast = On(config, {1, 1, stages}, machine);
        parallel::SimulationTimes times;
        for (const StageForecast& stage : forecast.stages) {
          times.stages.insert(times.stages.end(), stage.chunks.begin(),
                              stage.chunks.end());
        }
        const auto whole = test::Value(
            parallel::Simulate(test::Value(parallel::MakeSchedule(
                                   schedule, stages, chunks, micro_batches)),
                               times));
        double once = 0;
        for (const StageForecast& stage : forecast.stages) {
          once = std::max(once, stage.once);
        }
        EXPECT_NEAR(forecast.seconds - once, whole.seconds,
                    0.01 * forecast.seconds)
            << schedule << " " << chunks << " " << stages << " "
            << micro_batches;
      }
    }
  }
}

// The first chunk of all has the embedding and the last one the head.
TEST(ForecastTest, ChunksTakeWhatTheyHold) {
  train::EngineConfig config = Config();
  config.model.vocab = 5000;
  config.pipeline_schedule = "interleaved";
  config.chunks = 2;
  config.layers_per_stage = {2, 2, 2, 2};
  const Forecast forecast = On(config, {1, 1, 2});
  ASSERT_EQ(forecast.stages.size(), 2);
  for (const StageForecast& stage : forecast.stages) {
    ASSERT_EQ(stage.chunks.size(), 2);
    EXPECT_DOUBLE_EQ(stage.chunks[0].forward + stage.chunks[1].forward,
                     stage.forward);
    EXPECT_DOUBLE_EQ(stage.chunks[0].backward + stage.chunks[1].backward,
                     stage.backward);
  }
  const StageForecast& last = forecast.stages[1];
  EXPECT_GT(last.chunks[1].forward, 2 * last.chunks[0].forward);
  // A step waits for the head as often as a micro-batch comes to it.
  EXPECT_GE(forecast.seconds,
            forecast.micro_batches * (last.forward + last.backward));
}

// Layers that differ are recorded where they are.
TEST(ForecastTest, StagesOfOtherLayersTakeOtherTimes) {
  train::EngineConfig config = Config();
  config.model.architecture.window = 4;
  config.model.architecture.window_from = 4;
  const Forecast forecast = On(config, {1, 1, 8});
  EXPECT_GT(forecast.stages[2].forward, forecast.stages[5].forward);
  EXPECT_EQ(forecast.stages[1].forward, forecast.stages[2].forward);
}

TEST(ForecastTest, MemoryIsThatOfTheProgram) {
  for (const char* family : {"gpt", "llama"}) {
    for (const nn::Recompute recompute :
         {nn::Recompute::kNothing, nn::Recompute::kSelective,
          nn::Recompute::kBlock}) {
      for (const auto& [layout, schedule, chunks, zero] :
           std::initializer_list<std::tuple<Layout, std::string, int, int>>{
               {{1, 1, 1}, "1f1b", 1, 0},
               {{4, 1, 1}, "1f1b", 1, 1},
               {{4, 1, 1}, "1f1b", 1, 2},
               {{4, 1, 1}, "1f1b", 1, 3},
               {{1, 4, 1}, "1f1b", 1, 0},
               {{1, 1, 4}, "1f1b", 1, 0},
               {{1, 1, 4}, "interleaved", 2, 0},
               {{1, 1, 4}, "zero_bubble", 1, 0},
               {{1, 1, 4}, "gpipe", 1, 0},
               {{1, 1, 4}, "zb_v", 2, 0},
               {{1, 1, 4}, "dual_pipe_v", 2, 0},
               {{2, 2, 2}, "1f1b", 1, 1},
               {test::WithContext(2, {2, 1, 2}), "1f1b", 1, 1}}) {
        train::EngineConfig config = Config(family);
        config.recompute = recompute;
        config.pipeline_schedule = schedule;
        config.chunks = chunks;
        config.update.zero.zero = zero;
        const Forecast forecast = On(config, layout);
        const parallel::Mesh mesh = test::Value(test::MeshOf(layout));
        for (int stage = 0; stage < layout.pipeline; ++stage) {
          parallel::Coordinates place;
          place[Axis::kPipeline] = stage;
          const double whole = static_cast<double>(
              test::Value(EstimateMemory(config, mesh, mesh.RankOf(place)))
                  .peak());
          EXPECT_NEAR(static_cast<double>(forecast.stages[stage].memory), whole,
                      0.02 * whole)
              << family << " " << layout.ToString() << " " << schedule
              << " zero=" << zero << " stage " << stage << " recompute "
              << static_cast<int>(recompute);
        }
      }
    }
  }
}

TEST(ForecastTest, LayoutsCostWhatTheyExchange) {
  const train::EngineConfig config = Config();
  Hardware machine = RoundMachine();
  machine.domain = {.devices = 4, .bandwidth = 1e11};
  const double one = On(config, {}, machine).seconds;
  // Devices divide the work, and what they exchange comes on top.
  for (const Layout& layout : {Layout{4, 1, 1}, Layout{1, 4, 1},
                               Layout{1, 1, 4}, test::WithContext(4)}) {
    const Forecast forecast = On(config, layout, machine);
    EXPECT_LT(forecast.seconds, one) << layout.ToString();
    EXPECT_GT(forecast.seconds, one / 4) << layout.ToString();
  }
  EXPECT_GT(On(config, {1, 1, 4}, machine).bubble, 0);
  // A slow network is felt by tensor ranks that it lies between.
  Hardware spread = machine;
  spread.domain.devices = 1;
  EXPECT_GT(On(config, {1, 4, 1}, spread).busy().communication,
            5 * On(config, {1, 4, 1}, machine).busy().communication);
}

TEST(ForecastTest, FlopsAreThoseOfTheModel) {
  train::EngineConfig config = Config();
  const double plain = On(config, {}).flops;
  const double tokens = 48 * 64;
  EXPECT_NEAR(plain, tokens * models::TrainingFlopsPerToken(config.model),
              0.1 * plain);
  config.recompute = nn::Recompute::kBlock;
  EXPECT_GT(On(config, {}).flops, 1.2 * plain);
  EXPECT_LT(On(config, {}).flops, 1.4 * plain);
}

// What is within limits is what it is without them.
TEST(ForecastTest, LimitsSaveWhatIsBeyondThem) {
  const train::EngineConfig config = Config();
  const parallel::Mesh mesh = test::Value(test::MeshOf({1, 2, 4}));
  const Forecast whole = On(config, {1, 2, 4});
  const auto within = [&](const StepLimits& limits) {
    return ForecastWithin(limits, config, mesh, RoundMachine(), {});
  };
  const auto memory = static_cast<double>(whole.memory());
  EXPECT_EQ(test::Value(within({whole.seconds, memory})).seconds,
            whole.seconds);
  EXPECT_TRUE(absl::IsDeadlineExceeded(within({0.5 * whole.seconds}).status()));
  EXPECT_TRUE(
      absl::IsResourceExhausted(within({whole.seconds, memory - 1}).status()));
}

TEST(ForecastTest, BadMachinesAndLayoutsAreNamed) {
  Hardware machine = RoundMachine();
  machine.memory_bandwidth = 0;
  EXPECT_THAT(
      ForecastStep(Config(), test::Value(test::MeshOf({})), machine, {}),
      test::StatusIs(absl::StatusCode::kInvalidArgument,
                     "hardware round: memory.bandwidth=0 must be above 0"));
  EXPECT_FALSE(ForecastStep(Config(), test::Value(test::MeshOf({5, 1, 1})),
                            RoundMachine(), {})
                   .ok());
}

}  // namespace
}  // namespace eisbach::plan::forecast_test
