#include "plan/least_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "cpp/plan/plan_testing.h"
#include "support/status_testing.h"

namespace eisbach::plan::least_memory_test {
namespace {

train::EngineConfig Config() {
  train::EngineConfig config = test::ToyConfig("llama");
  config.model.layers = 4;
  config.model.context = 64;
  config.global_batch = 32;
  return config;
}

// Of every way, by looking at each.
int64_t LeastOfAll(const train::EngineConfig& config, const Hardware& machine,
                   int devices, const Fixed& fixed) {
  int64_t least = std::numeric_limits<int64_t>::max();
  for (Layout layout : EnumerateLayouts({config, machine, devices, fixed})) {
    const parallel::Mesh mesh = test::Value(MeshOf(layout));
    for (layout.zero = 0; layout.zero <= (layout.copies() > 1 ? 3 : 0);
         ++layout.zero) {
      for (const nn::Recompute recompute : RecomputesOf(fixed)) {
        layout.recompute = recompute;
        for (int64_t blocks = recompute == nn::Recompute::kNothing ? 0 : -1;
             blocks <= config.model.layers; ++blocks) {
          layout.recompute_layers =
              recompute == nn::Recompute::kNothing ? -1 : blocks;
          const auto forecast = ForecastStep(
              WithLayout(config, layout, mesh, machine), mesh, machine, {});
          if (!forecast.ok()) break;
          least = std::min(least, forecast->memory());
          if (recompute == nn::Recompute::kNothing) break;
        }
      }
    }
  }
  return least;
}

TEST(LeastMemoryTest, NothingTakesLess) {
  const train::EngineConfig config = Config();
  const Hardware machine = RoundMachine();
  for (const Fixed& fixed :
       {Fixed{.pipeline = 2, .schedule = "1f1b"},
        Fixed{.pipeline = 1, .context = 1, .micro_batch = 4}}) {
    const Candidate least = test::Value(
        LeastMemory(config, machine, {.devices = 4, .fixed = fixed}));
    const auto all = static_cast<double>(LeastOfAll(config, machine, 4, fixed));
    EXPECT_GE(static_cast<double>(least.forecast.memory()), all);
    EXPECT_LE(static_cast<double>(least.forecast.memory()), all / 0.99);
  }
}

TEST(LeastMemoryTest, EnoughIsEnough) {
  const train::EngineConfig config = Config();
  const Hardware machine = RoundMachine();
  const SearchOptions options{.devices = 4};
  const auto memory = [&](double enough) {
    return static_cast<double>(
        test::Value(LeastMemory(config, machine, options, enough))
            .forecast.memory());
  };
  const double least = memory(0);
  EXPECT_LE(memory(1.5 * least), 1.5 * least);
  EXPECT_GT(memory(0.9 * least), 0.9 * least);
}

TEST(LeastMemoryTest, WhatIsGivenStays) {
  const Fixed fixed{.data = 2,
                    .zero = 1,
                    .recompute = nn::Recompute::kSelective,
                    .recompute_layers = 1};
  const Layout layout = test::Value(LeastMemory(Config(), RoundMachine(),
                                                {.devices = 4, .fixed = fixed}))
                            .layout;
  EXPECT_EQ(layout.data, 2);
  EXPECT_EQ(layout.zero, 1);
  EXPECT_EQ(layout.recompute, nn::Recompute::kSelective);
  EXPECT_EQ(layout.recompute_layers, 1);
}

TEST(LeastMemoryTest, WhatNoLayoutHasIsRefused) {
  EXPECT_THAT(
      LeastMemory(Config(), RoundMachine(),
                  {.devices = 4, .fixed = {.tensor = 8}}),
      test::StatusIs(absl::StatusCode::kInvalidArgument, "parallel.tensor=8"));
  // Which divides neither 24 heads nor anything else.
  EXPECT_THAT(LeastMemory(Config(), RoundMachine(),
                          {.devices = 7, .fixed = {.tensor = 7}}),
              test::StatusIs(absl::StatusCode::kInvalidArgument, "tensor=7"));
}

}  // namespace
}  // namespace eisbach::plan::least_memory_test
