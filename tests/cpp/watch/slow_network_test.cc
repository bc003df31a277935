#include "watch/slow_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "watch/stragglers.h"

namespace eisbach::watch::slow_network_test {
namespace {

constexpr int kSteps = 20;
constexpr int kDefaultSteps = 50;  // of fault.straggler_steps

// A part of a step after which ranks meet: what each takes by itself, and what
// the transfer takes once all have come.
struct Section {
  StepPart part;
  std::vector<double> busy;  // by rank
  double transfer = 0;
};

std::vector<RankStep> Play(const std::vector<Section>& sections) {
  std::vector<RankStep> ranks(sections.front().busy.size());
  for (const Section& section : sections) {
    const int part = static_cast<int>(section.part);
    const double most =
        *std::max_element(section.busy.begin(), section.busy.end());
    for (size_t rank = 0; rank < ranks.size(); ++rank) {
      ranks[rank].busy[part] += section.busy[rank];
      ranks[rank].waiting[part] += most - section.busy[rank] + section.transfer;
    }
  }
  return ranks;
}

// Forward 0.1 s, backward 0.2 s, each met twice, then gradients.
std::vector<Section> Clean(int ranks, double weight = 1) {
  std::vector<Section> sections;
  for (const auto& [part, seconds] : {std::pair(StepPart::kForward, 0.05),
                                      std::pair(StepPart::kForward, 0.05),
                                      std::pair(StepPart::kBackward, 0.1),
                                      std::pair(StepPart::kBackward, 0.1),
                                      std::pair(StepPart::kReduction, 0.005)}) {
    sections.push_back(
        {part, std::vector<double>(ranks, weight * seconds), weight * 0.01});
  }
  return sections;
}

using Make = std::function<std::vector<Section>(int step)>;

std::vector<NetworkDelay> RunSteps(NetworkDelayFinder& finder, int first,
                                   int last, const Make& make) {
  std::vector<NetworkDelay> news;
  for (int step = first; step <= last; ++step) {
    if (const auto one = finder.Add(step, Play(make(step)))) {
      news.push_back(*one);
    }
  }
  return news;
}

TEST(NetworkDelayFinder, TellsTheBeginningThePartAndTheEnd) {
  for (const auto& [section, part] :
       {std::pair(1, StepPart::kForward), std::pair(4, StepPart::kReduction)}) {
    NetworkDelayFinder finder(kSteps);
    const Make make = [section = section](int step) {
      std::vector<Section> sections = Clean(4);
      if (step > 100 && step <= 200) sections[section].transfer += 0.1;
      return sections;
    };
    EXPECT_TRUE(RunSteps(finder, 1, 100, make).empty());
    const auto begun = RunSteps(finder, 101, 100 + kSteps, make);
    ASSERT_EQ(begun.size(), 1);
    EXPECT_EQ(begun[0].since, 101);
    EXPECT_EQ(begun[0].over, 0);
    EXPECT_EQ(begun[0].part, part);
    EXPECT_NEAR(begun[0].excess, 0.1, 1e-6);
    EXPECT_TRUE(RunSteps(finder, 101 + kSteps, 200, make).empty());
    ASSERT_TRUE(finder.now().has_value());
    EXPECT_EQ(finder.now()->since, 101);
    const auto ended = RunSteps(finder, 201, 200 + kSteps, make);
    ASSERT_EQ(ended.size(), 1);
    EXPECT_EQ(ended[0].since, 101);
    EXPECT_EQ(ended[0].over, 216);
    EXPECT_FALSE(finder.now().has_value());
    // And a second time.
    const auto again =
        RunSteps(finder, 301, 300 + kSteps, [&](int) { return make(150); });
    ASSERT_EQ(again.size(), 1);
    EXPECT_EQ(again[0].since, 301);
    EXPECT_EQ(again[0].over, 0);
  }
}

// All but the late one wait for it.
TEST(NetworkDelayFinder, TakesALateRankForNone) {
  NetworkDelayFinder finder(kSteps);
  EXPECT_TRUE(RunSteps(finder, 1, 300, [](int step) {
                std::vector<Section> sections = Clean(4);
                for (Section& one : sections) {
                  if (step > 100) one.busy[2] += 0.2;
                }
                return sections;
              }).empty());
}

TEST(NetworkDelayFinder, TakesAHeavierJobForNone) {
  NetworkDelayFinder finder(kSteps);
  EXPECT_TRUE(RunSteps(finder, 1, 300, [](int step) {
                return Clean(4, step > 100 ? 3.0 : 1.0);
              }).empty());
}

// Stages of different weights, the lighter of which wait for others always.
TEST(NetworkDelayFinder, TakesAnUnevenJobForNone) {
  NetworkDelayFinder finder(kSteps);
  EXPECT_TRUE(RunSteps(finder, 1, 300, [](int) {
                std::vector<Section> sections = Clean(4);
                for (Section& one : sections) {
                  for (int rank = 0; rank < 4; ++rank)
                    one.busy[rank] *= 1 + rank;
                }
                return sections;
              }).empty());
}

TEST(NetworkDelayFinder, ForgetsShortTroubles) {
  NetworkDelayFinder finder(kSteps);
  EXPECT_TRUE(RunSteps(finder, 1, 400, [](int step) {
                std::vector<Section> sections = Clean(2);
                if (step % 40 < 14) sections[0].transfer += 3;
                return sections;
              }).empty());
}

TEST(NetworkDelayFinder, CountsWhatIsSmallForNothing) {
  NetworkDelayFinder finder(kSteps);
  EXPECT_TRUE(RunSteps(finder, 1, 200, [](int step) {
                std::vector<Section> sections = {
                    {StepPart::kForward, {0.01, 0.01}, 0.001}};
                if (step > 100) sections[0].transfer += 0.019;
                return sections;
              }).empty());
}

// More ranks than cores, and other programs: each part of each rank may be cut
// off, transfers may take several times as long, and now and then all do for
// many steps in a row.
TEST(NetworkDelayFinder, GivesNoFalseAlarmInAThousandNoisySteps) {
  for (const int ranks : {2, 4, 8}) {
    for (int seed = 0; seed < 10; ++seed) {
      std::mt19937 random(seed);
      std::uniform_real_distribution<double> uniform(0, 1);
      int burst = 0;
      const Make make = [&](int) {
        std::vector<Section> sections = Clean(ranks);
        if (burst == 0 && uniform(random) < 0.01) burst = 6;
        if (burst > 0) --burst;
        for (Section& one : sections) {
          for (double& seconds : one.busy) {
            seconds *= std::exp(0.3 * (uniform(random) - 0.5));
            if (uniform(random) < 0.1) seconds += 0.1 * uniform(random);
          }
          if (uniform(random) < 0.1) one.transfer += 0.1 * uniform(random);
          if (burst > 0) one.transfer += 0.2;
        }
        return sections;
      };
      NetworkDelayFinder finder(kDefaultSteps);
      const auto news = RunSteps(finder, 1, 1000, make);
      EXPECT_TRUE(news.empty()) << ranks << " ranks, seed " << seed;
      // And it still finds one.
      const auto found = RunSteps(finder, 1001, 1100, [&](int step) {
        std::vector<Section> sections = make(step);
        sections[2].transfer += 0.5;
        return sections;
      });
      ASSERT_EQ(found.size(), 1) << ranks << " ranks, seed " << seed;
      EXPECT_EQ(found[0].part, StepPart::kBackward);
    }
  }
}

}  // namespace
}  // namespace eisbach::watch::slow_network_test
