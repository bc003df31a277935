#include "plan/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <vector>

#include "cpp/plan/plan_testing.h"
#include "support/status_testing.h"

namespace eisbach::plan::search_test {
namespace {

train::EngineConfig Config() {
  train::EngineConfig config = test::ToyConfig("llama");
  config.model.context = 64;
  config.global_batch = 32;
  config.micro_batch = 1;
  return config;
}

SearchResult Found(const SearchOptions& options,
                   const Hardware& machine = RoundMachine()) {
  return test::Value(Search(Config(), machine, options));
}

TEST(SearchTest, FindsWhatIsQuickestAndFits) {
  const SearchResult found = Found({.devices = 8});
  ASSERT_GT(found.fitting.size(), 10);
  double before = 0;
  for (const Candidate& candidate : found.fitting) {
    EXPECT_LE(candidate.layout.devices(), 8);
    EXPECT_GE(candidate.forecast.seconds, before);
    before = candidate.forecast.seconds;
    // What is said of it is what its configuration takes.
    const Forecast again = test::Value(ForecastStep(
        WithLayout(Config(), candidate.layout),
        test::Value(MeshOf(candidate.layout)), RoundMachine(), {}));
    EXPECT_EQ(again.seconds, candidate.forecast.seconds);
  }
  EXPECT_GT(found.hopeless, 0);
}

// What is not looked at is not missed.
TEST(SearchTest, NoLayoutOfAllIsQuicker) {
  for (const double memory : {16e9, 8e6, 5e6}) {
    Hardware machine = RoundMachine();
    machine.memory_bytes = memory;
    SearchOptions options{.devices = 4, .fixed = {.micro_batch = 2}};
    const SearchResult found = Found(options, machine);
    options.far_behind = std::numeric_limits<double>::infinity();
    const SearchResult all = Found(options, machine);
    SCOPED_TRACE(memory);
    EXPECT_EQ(all.hopeless, 0);
    ASSERT_FALSE(all.fitting.empty());
    ASSERT_FALSE(found.fitting.empty());
    EXPECT_LT(found.fitting.size(), all.fitting.size());
    EXPECT_EQ(found.fitting[0].forecast.seconds,
              all.fitting[0].forecast.seconds);
    EXPECT_EQ(found.fitting[0].layout.tensor, all.fitting[0].layout.tensor);
  }
}

// Every way to recompute and to divide state that a layout has.
std::vector<Candidate> EveryWay(const train::EngineConfig& config,
                                const SearchOptions& options,
                                const Hardware& machine) {
  std::vector<Candidate> all;
  const auto add = [&](const Layout& layout) {
    const parallel::Mesh mesh = test::Value(MeshOf(layout));
    const absl::StatusOr<Forecast> forecast = ForecastStep(
        WithLayout(config, layout, mesh, machine), mesh, machine, {});
    if (!forecast.ok()) return false;
    all.push_back({layout, *forecast, forecast->seconds});
    return true;
  };
  for (Layout layout :
       EnumerateLayouts({config, machine, options.devices, options.fixed})) {
    for (layout.zero = 0; layout.zero <= (layout.copies() > 1 ? 3 : 0);
         ++layout.zero) {
      layout.recompute = nn::Recompute::kNothing;
      layout.recompute_layers = models::TransformerOptions::kAllBlocks;
      if (!add(layout)) continue;
      for (const nn::Recompute recompute :
           {nn::Recompute::kSelective, nn::Recompute::kBlock}) {
        layout.recompute = recompute;
        layout.recompute_layers = 1;
        while (add(layout)) ++layout.recompute_layers;
      }
    }
  }
  return all;
}

// A search has as few blocks recomputed as fit, and finds what is best.
TEST(SearchTest, NothingElseThatFitsIsQuicker) {
  train::EngineConfig config = Config();
  config.model.layers = 6;
  const SearchOptions options{
      .devices = 4,
      .fixed = {.context = 1, .schedule = "1f1b", .micro_batch = 4},
      .memory_share = 1};
  Hardware machine = RoundMachine();
  const std::vector<Candidate> all = EveryWay(config, options, machine);
  std::vector<int64_t> memory;
  for (const Candidate& one : all) memory.push_back(one.forecast.memory());
  std::sort(memory.begin(), memory.end());
  int partly = 0;
  for (size_t i = 0; i < memory.size() * 4 / 5; i += memory.size() / 30) {
    machine.memory_bytes = static_cast<double>(memory[i]);
    const Candidate* best = nullptr;
    for (const Candidate& one : all) {
      if (one.forecast.memory() > memory[i]) continue;
      if (best == nullptr || one.score < best->score) best = &one;
    }
    const SearchResult found = test::Value(Search(config, machine, options));
    ASSERT_FALSE(found.fitting.empty()) << memory[i];
    const Layout& chosen = found.fitting[0].layout;
    EXPECT_DOUBLE_EQ(found.fitting[0].score, best->score)
        << memory[i] << ": d" << best->layout.data << " t"
        << best->layout.tensor << " p" << best->layout.pipeline << " zero "
        << best->layout.zero << " recompute "
        << static_cast<int>(best->layout.recompute) << " of "
        << best->layout.recompute_layers;
    EXPECT_LE(found.fitting[0].forecast.memory(), memory[i]);
    partly += chosen.recompute_layers > 0;
  }
  EXPECT_GT(partly, 3);
}

// Ranks that divide the optimizer's state have less to update, and wait for one
// another once more, for the norm of gradients of which each has a part.
TEST(SearchTest, StateIsDividedWhereThatIsQuicker) {
  Hardware machine = RoundMachine();
  const SearchOptions options{
      .devices = 8,
      .fixed = {.data = 4, .tensor = 2, .pipeline = 1, .micro_batch = 8}};
  const auto quickest = [&] {
    const SearchResult found = Found(options, machine);
    for (const int zero : {0, 1}) {
      SearchOptions one = options;
      one.fixed.zero = zero;
      EXPECT_GE(Found(one, machine).fitting.at(0).score,
                found.fitting.at(0).score);
    }
    return found.fitting.at(0).layout.zero;
  };
  machine.domain.latency = machine.network.latency = 1e-7;
  EXPECT_EQ(quickest(), 1);
  machine.domain.latency = machine.network.latency = 1e-2;
  EXPECT_EQ(quickest(), 0);
  // Where collectives were measured, a sum may be quicker than its halves.
  machine.domain = {.devices = 8, .bandwidth = 1e10, .latency = 1e-7};
  const CollectiveSpeed speed{
      .latency = 1e-7, .bandwidth = 1e9, .staged_bandwidth = 1e9};
  for (const char* name : {"reduce_scatter", "all_gather", "all_reduce"}) {
    machine.collectives[name] = speed;
  }
  EXPECT_EQ(quickest(), 1);
  machine.collectives["all_reduce"].bandwidth = 2e10;
  EXPECT_EQ(quickest(), 0);
}

// Ranks that divide experts are a choice as the others are.
TEST(SearchTest, ExpertsAreDividedAsIsBest) {
  const Experts experts{.count = 12, .per_token = 2, .hidden = 100};
  const train::EngineConfig config = test::Value(DenseOf(Config(), experts));
  for (const double memory : {16e9, 40e6}) {
    Hardware machine = RoundMachine();
    machine.memory_bytes = memory;
    SearchOptions options{.devices = 8,
                          .fixed = {.micro_batch = 2},
                          .play = {.experts = experts}};
    const SearchResult found = test::Value(Search(config, machine, options));
    options.far_behind = std::numeric_limits<double>::infinity();
    const SearchResult all = test::Value(Search(config, machine, options));
    SCOPED_TRACE(memory);
    EXPECT_EQ(all.hopeless, 0);
    ASSERT_FALSE(found.fitting.empty());
    EXPECT_EQ(found.fitting[0].forecast.seconds,
              all.fitting[0].forecast.seconds);
    std::set<int> ranks;
    for (const Candidate& candidate : all.fitting) {
      const Layout& layout = candidate.layout;
      ranks.insert(layout.expert);
      EXPECT_EQ(12 % layout.expert, 0);
      EXPECT_EQ(layout.copies() * layout.tensor % layout.expert, 0);
    }
    EXPECT_TRUE(ranks.contains(4));
    EXPECT_FALSE(ranks.contains(8));  // divides the ranks, not the experts
  }
  SearchOptions options{
      .devices = 8, .fixed = {.expert = 2}, .play = {.experts = experts}};
  for (const Candidate& candidate :
       test::Value(Search(config, RoundMachine(), options)).fitting) {
    EXPECT_EQ(candidate.layout.expert, 2);
  }
  options.fixed.expert = 5;
  EXPECT_THAT(Search(config, RoundMachine(), options),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "nearest that works: "));
  options.play.experts.per_token = 13;
  EXPECT_THAT(Search(config, RoundMachine(), options),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "experts_per_token=13"));
}

TEST(SearchTest, WhatIsFixedStays) {
  const SearchResult found = Found(
      {.devices = 8,
       .fixed = {
           .tensor = 2, .micro_batch = 2, .recompute = nn::Recompute::kBlock}});
  ASSERT_FALSE(found.fitting.empty());
  for (const Candidate& candidate : found.fitting) {
    EXPECT_EQ(candidate.layout.tensor, 2);
    EXPECT_EQ(candidate.layout.micro_batch, 2);
    EXPECT_EQ(candidate.layout.recompute, nn::Recompute::kBlock);
  }
}

TEST(SearchTest, ANumberOfBlocksStays) {
  for (const int64_t layers : {int64_t{3}, int64_t{-1}}) {
    const SearchResult found = Found(
        {.devices = 2,
         .fixed = {.tensor = 1, .pipeline = 1, .recompute_layers = layers}});
    ASSERT_FALSE(found.fitting.empty());
    bool some = false;
    for (const Candidate& candidate : found.fitting) {
      EXPECT_EQ(candidate.layout.recompute_layers, layers);
      some |= candidate.layout.recompute != nn::Recompute::kNothing;
    }
    EXPECT_EQ(some, layers > 0);
  }
}

TEST(SearchTest, LittleMemoryIsMetByDividingAndRecomputing) {
  Hardware machine = RoundMachine();
  const SearchResult roomy = Found({.devices = 8});
  int64_t least = roomy.fitting.front().forecast.memory();
  for (const Candidate& candidate : roomy.fitting) {
    least = std::min(least, candidate.forecast.memory());
  }
  machine.memory_bytes = static_cast<double>(least);
  const SearchResult tight = Found({.devices = 8, .memory_share = 1}, machine);
  ASSERT_FALSE(tight.fitting.empty());
  EXPECT_GT(tight.too_large, 0);
  for (const Candidate& candidate : tight.fitting) {
    EXPECT_LE(candidate.forecast.memory(), least);
  }
  machine.memory_bytes = 1e4;
  const SearchResult none = Found({.devices = 8}, machine);
  EXPECT_TRUE(none.fitting.empty());
  EXPECT_EQ(none.too_large, none.tried);
}

TEST(SearchTest, ADeviceCountThatDividesNothingIsUsedInPart) {
  for (const Candidate& candidate : Found({.devices = 7}).fitting) {
    EXPECT_LE(candidate.layout.devices(), 7);
    EXPECT_EQ(32 % candidate.layout.data, 0);
  }
}

// Fewer devices wait less for one another, and their hours cost less.
TEST(SearchTest, TheCheapestAndTheMostFrugalNeedFewerDevices) {
  const Hardware machine = RoundMachine();
  const SearchResult quick = Found({.devices = 8});
  for (const RankBy by : {RankBy::kCost, RankBy::kEnergy}) {
    const Ranking ranking{.by = by, .run = {.steps = 100}};
    const SearchResult found = Found({.devices = 8, .ranking = ranking});
    ASSERT_FALSE(found.fitting.empty());
    const Candidate& best = found.fitting.front();
    EXPECT_LT(best.layout.devices(), 8);
    double before = 0;
    for (const Candidate& candidate : found.fitting) {
      EXPECT_GE(candidate.score, before);
      before = candidate.score;
    }
    // Pruned or not, nothing is better on any number of devices.
    for (const int devices : {1, 2, 3}) {
      for (const Candidate& other : Found({.devices = devices}).fitting) {
        EXPECT_GE(Score(other.layout.devices(), UseOf(other.forecast), ranking,
                        machine),
                  best.score * (1 - 1e-9))
            << devices;
      }
    }
    // A deadline takes more of them.
    const auto hours = [&](const Candidate& one) {
      return CostOn(one.layout.devices(), UseOf(one.forecast), ranking, machine)
          .hours;
    };
    Ranking soon = ranking;
    soon.most_hours = 1.2 * hours(quick.fitting.front());
    const SearchResult late = Found({.devices = 8, .ranking = soon});
    EXPECT_GT(late.fitting.front().layout.devices(), best.layout.devices());
    EXPECT_GT(late.too_late, 0);
    for (const Candidate& candidate : late.fitting) {
      EXPECT_LE(hours(candidate), soon.most_hours);
    }
  }
}

TEST(SearchTest, WhatCannotBeIsRefused) {
  EXPECT_FALSE(
      Search(Config(), RoundMachine(), {.devices = 8, .fixed = {.data = 5}})
          .ok());
  EXPECT_FALSE(
      Search(Config(), RoundMachine(), {.devices = 8, .fixed = {.tensor = 7}})
          .ok());
}

}  // namespace
}  // namespace eisbach::plan::search_test
