#include "plan/layout_bounds.h"

#include <gtest/gtest.h>

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cpp/plan/plan_testing.h"
#include "parallel/pipeline/schedule.h"
#include "plan/enumerate_layouts.h"
#include "plan/forecast.h"
#include "support/status_testing.h"

namespace eisbach::plan::layout_bounds_test {
namespace {

train::EngineConfig Config(const std::string& family = "llama") {
  train::EngineConfig config = test::ToyConfig(family);
  config.model.context = 64;
  config.global_batch = 32;
  config.micro_batch = 1;
  return config;
}

std::string Text(const Layout& layout) {
  return absl::StrCat(
      "d", layout.data, "c", layout.context, "t", layout.tensor, "p",
      layout.pipeline, " ", layout.schedule, " ", layout.chunks, " zero ",
      layout.zero, " micro ", layout.micro_batch, " recompute ",
      static_cast<int>(layout.recompute), " of ", layout.recompute_layers);
}

struct Shares {
  double least = std::numeric_limits<double>::infinity();
  double sum = 0;
  int count = 0;

  void Add(double share) {
    least = std::min(least, share);
    sum += share;
    ++count;
  }
};

// Of what layouts take, what the bounds say; never above.
void Compare(const train::EngineConfig& config, const Hardware& machine,
             const std::vector<Layout>& layouts, Shares& seconds,
             Shares& memory, PlayOptions play = {}) {
  const PlayOptions free = play;
  LayoutBounds bounds(config, machine, free);
  for (const Layout& layout : layouts) {
    const parallel::Mesh mesh = test::Value(MeshOf(layout));
    play.experts = WithLayout(play.experts, layout);
    const absl::StatusOr<Forecast> forecast = ForecastStep(
        WithLayout(config, layout, mesh, machine), mesh, machine, play);
    if (!forecast.ok()) continue;
    const LayoutBounds::Least least = bounds.Of(layout);
    EXPECT_LE(bounds.Rough(layout).seconds, forecast->seconds) << Text(layout);
    EXPECT_LE(least.use.seconds, forecast->seconds) << Text(layout);
    EXPECT_LE(least.use.computing, UseOf(*forecast).computing) << Text(layout);
    EXPECT_LE(least.memory, static_cast<double>(forecast->memory()))
        << Text(layout);
    seconds.Add(least.use.seconds / forecast->seconds);
    memory.Add(least.memory / static_cast<double>(forecast->memory()));
  }
}

// Some of the ways that a search has.
std::vector<Layout> Some(const train::EngineConfig& config,
                         const Hardware& machine, size_t every,
                         int64_t experts = 0) {
  std::vector<Layout> some;
  size_t number = 0;
  for (Layout layout :
       EnumerateLayouts({config, machine, 8, {}, RankBy::kTime, experts})) {
    for (const nn::Recompute recompute :
         {nn::Recompute::kNothing, nn::Recompute::kSelective,
          nn::Recompute::kBlock}) {
      for (int zero = 0; zero <= 3; ++zero) {
        if (zero > 0 && layout.copies() == 1) continue;
        if (number++ % every != 0) continue;
        layout.recompute = recompute;
        layout.zero = zero;
        some.push_back(layout);
      }
    }
  }
  return some;
}

TEST(LayoutBoundsTest, NothingTakesLess) {
  const Hardware machine = RoundMachine();
  Shares seconds, memory;
  for (const char* family : {"llama", "gpt"}) {
    const train::EngineConfig config = Config(family);
    Compare(config, machine, Some(config, machine, 41), seconds, memory);
  }
  EXPECT_GT(seconds.count, 50);
  RecordProperty("seconds", absl::StrCat(seconds.sum / seconds.count));
  RecordProperty("memory", absl::StrCat(memory.sum / memory.count));
  EXPECT_GT(seconds.least, 0);
  EXPECT_GT(memory.least, 0);
}

TEST(LayoutBoundsTest, ExpertsTakeMore) {
  Hardware machine = RoundMachine();
  machine.units = 4;
  Shares seconds, memory;
  // What runs in the place of the last is twice as wide (DenseOf).
  for (const auto& [hidden, shared] : {std::pair{100, 0}, {100, 48}, {48, 0}}) {
    const Experts experts{
        .count = 16, .per_token = 2, .hidden = hidden, .shared_hidden = shared};
    train::EngineConfig config = Config();
    config.update.compute_dtype = DType::kBF16;
    config = test::Value(DenseOf(config, experts));
    Compare(config, machine, Some(config, machine, 53, experts.count), seconds,
            memory, {.experts = experts});
  }
  EXPECT_GT(seconds.count, 50);
  EXPECT_GT(seconds.sum / seconds.count, 0.5);
  EXPECT_GT(memory.sum / memory.count, 0.5);
}

TEST(LayoutBoundsTest, EveryScheduleTakesMore) {
  const Hardware machine = RoundMachine();
  const train::EngineConfig config = Config();
  std::vector<Layout> layouts;
  for (const std::string& name : parallel::ScheduleNames()) {
    const parallel::ChunkLimits limits = test::Value(parallel::ChunksOf(name));
    for (const int chunks : {1, 2}) {
      if (chunks < limits.least || chunks > limits.most) continue;
      for (const int64_t micro_batch : {1, 4, 16}) {
        layouts.push_back({.data = 2,
                           .pipeline = 4,
                           .schedule = name,
                           .chunks = chunks,
                           .zero = 1,
                           .micro_batch = micro_batch});
      }
    }
  }
  Shares seconds, memory;
  Compare(config, machine, layouts, seconds, memory);
  EXPECT_EQ(seconds.count, layouts.size());
}

// Blocks that differ from one another, frozen ones, rows that ranks divide.
TEST(LayoutBoundsTest, OtherModelsTakeMore) {
  const Hardware machine = RoundMachine();
  const std::vector<Layout> layouts = {
      {.data = 2, .zero = 1},
      {.tensor = 2, .pipeline = 2},
      {.data = 2, .context = 2, .zero = 3},
      {.pipeline = 4, .schedule = "interleaved", .chunks = 2},
      {.pipeline = 8, .recompute = nn::Recompute::kBlock}};
  Shares seconds, memory;
  train::EngineConfig windows = Config();
  windows.model.architecture.window = 8;
  windows.model.architecture.window_full_every = 3;
  windows.model.architecture.no_rope_every = 4;
  Compare(windows, machine, layouts, seconds, memory);
  train::EngineConfig small = Config();
  small.update.compute_dtype = DType::kBF16;
  small.update.optimizer.name = "lion";
  small.deferred_weights = true;
  Compare(small, machine, layouts, seconds, memory);
  EXPECT_EQ(seconds.count, 10);
}

// Layouts of several stages and chunks, with every number of blocks.
std::vector<Layout> Partly(const std::string& family) {
  std::vector<Layout> partly;
  for (Layout layout :
       {Layout{}, Layout{.data = 2, .zero = 3},
        Layout{.tensor = 2, .pipeline = 2, .micro_batch = 2},
        Layout{.pipeline = 3},
        Layout{.pipeline = 2, .schedule = "interleaved", .chunks = 2},
        Layout{.data = 2, .pipeline = 2, .schedule = "zero_bubble", .zero = 1},
        Layout{.pipeline = 2, .schedule = "zb_v", .chunks = 2}}) {
    for (const nn::Recompute recompute :
         {nn::Recompute::kSelective, nn::Recompute::kBlock}) {
      layout.recompute = recompute;
      const int64_t blocks =
          LayoutBounds(Config(family), RoundMachine(), {}).MostBlocks(layout);
      for (int64_t n = 1; n < blocks; ++n) {
        layout.recompute_layers = n;
        partly.push_back(layout);
      }
    }
  }
  return partly;
}

TEST(LayoutBoundsTest, SomeBlocksTakeMore) {
  const Hardware machine = RoundMachine();
  for (const char* family : {"llama", "gemma2"}) {
    const std::vector<Layout> layouts = Partly(family);
    Shares seconds, memory;
    Compare(Config(family), machine, layouts, seconds, memory);
    EXPECT_EQ(seconds.count, layouts.size());
    EXPECT_GT(seconds.least, 0.5);
  }
  train::EngineConfig windows = Config();
  windows.model.architecture.window = 8;
  windows.model.architecture.window_full_every = 3;
  Shares seconds, memory;
  Compare(windows, machine, Partly("llama"), seconds, memory);
}

TEST(LayoutBoundsTest, WithFewerBlocksRecomputedNothingFits) {
  const Hardware machine = RoundMachine();
  const train::EngineConfig config = Config();
  LayoutBounds bounds(config, machine, {});
  Layout layout{.pipeline = 2, .recompute = nn::Recompute::kBlock};
  const int64_t all = bounds.MostBlocks(layout);
  ASSERT_EQ(all, 4);
  std::vector<double> memory;
  for (int64_t n = 1; n < all; ++n) {
    layout.recompute_layers = n;
    memory.push_back(bounds.Of(layout).memory);
    // With a byte less, one more.
    EXPECT_EQ(bounds.FewestRecomputed(layout, all, memory.back()), n);
    if (n > 1) {
      EXPECT_LT(memory[n - 1], memory[n - 2]);
      EXPECT_EQ(bounds.FewestRecomputed(layout, all, memory[n - 2] - 1), n);
      EXPECT_EQ(bounds.FewestRecomputed(layout, n - 1, memory[n - 2] - 1),
                std::nullopt);
    }
  }
  EXPECT_EQ(bounds.FewestRecomputed(layout, all, 1e3), std::nullopt);
  EXPECT_EQ(bounds.FewestRecomputed(layout, all, 1e9), 1);
}

}  // namespace
}  // namespace eisbach::plan::layout_bounds_test
