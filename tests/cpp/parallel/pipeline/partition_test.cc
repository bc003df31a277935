#include "parallel/pipeline/partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace eisbach::parallel::partition_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int> Counts(const absl::StatusOr<std::vector<LayerRange>>& ranges) {
  EXPECT_TRUE(ranges.ok()) << ranges.status();
  std::vector<int> counts;
  int next = 0;
  for (const LayerRange& range : *ranges) {
    EXPECT_EQ(range.begin, next);
    EXPECT_GE(range.size(), 1);
    next = range.end;
    counts.push_back(range.size());
  }
  return counts;
}

LayerCosts Equal(int layers, double first, double last) {
  return {std::vector<double>(layers, 1.0), first, last};
}

TEST(PartitionTest, EqualLayersSplitEvenly) {
  EXPECT_THAT(Counts(BalanceStages(Equal(8, 0, 0), 4)),
              ElementsAre(2, 2, 2, 2));
  EXPECT_THAT(Counts(BalanceStages(Equal(8, 0, 0), 3)), ElementsAre(2, 3, 3));
  EXPECT_THAT(Counts(BalanceStages(Equal(5, 0, 0), 5)),
              ElementsAre(1, 1, 1, 1, 1));
  EXPECT_THAT(Counts(BalanceStages(Equal(7, 3, 9), 1)), ElementsAre(7));
}

TEST(PartitionTest, RoundingDoesNotBreakTies) {
  for (double cost : {0.1, 1e-7, 3.3e9}) {
    const LayerCosts costs{std::vector<double>(30, cost), 0, 0};
    EXPECT_THAT(Counts(BalanceStages(costs, 4)), ElementsAre(7, 7, 8, 8))
        << cost;
  }
}

TEST(PartitionTest, EndsCarryTheirExtraCost) {
  EXPECT_THAT(Counts(BalanceStages(Equal(10, 0, 2), 3)), ElementsAre(4, 4, 2));
  EXPECT_THAT(Counts(BalanceStages(Equal(10, 1, 2), 3)), ElementsAre(3, 4, 3));
  EXPECT_THAT(Counts(BalanceStages(Equal(4, 0, 100), 3)), ElementsAre(1, 2, 1));
}

TEST(PartitionTest, MoreStagesThanLayersNamesTheNearest) {
  const absl::Status status = BalanceStages(Equal(4, 0, 0), 6).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()),
            "parallel.pipeline=6 needs a layer for each stage, and the model "
            "has model.layers=4; nearest that works: parallel.pipeline=4");
  EXPECT_FALSE(BalanceStages(Equal(4, 0, 0), 0).ok());
}

double Dearest(const LayerCosts& costs, const std::vector<LayerRange>& ranges) {
  double dearest = 0;
  for (size_t s = 0; s < ranges.size(); ++s) {
    double cost = s == 0 ? costs.first_stage : 0;
    if (s + 1 == ranges.size()) cost += costs.last_stage;
    for (int i = ranges[s].begin; i < ranges[s].end; ++i) {
      cost += costs.layers[i];
    }
    dearest = std::max(dearest, cost);
  }
  return dearest;
}

double BestByTrial(const LayerCosts& costs, int stages, int begin,
                   std::vector<LayerRange>& ranges) {
  const int layers = static_cast<int>(costs.layers.size());
  const int left = stages - static_cast<int>(ranges.size());
  if (left == 1) {
    ranges.push_back({begin, layers});
    const double dearest = Dearest(costs, ranges);
    ranges.pop_back();
    return dearest;
  }
  double best = 1e300;
  for (int end = begin + 1; end <= layers - left + 1; ++end) {
    ranges.push_back({begin, end});
    best = std::min(best, BestByTrial(costs, stages, end, ranges));
    ranges.pop_back();
  }
  return best;
}

TEST(PartitionTest, NothingBeatsIt) {
  std::mt19937 rng(7);
  std::uniform_real_distribution<double> cost(0.0, 3.0);
  for (int trial = 0; trial < 60; ++trial) {
    const int layers = 1 + trial % 10;
    LayerCosts costs{{}, cost(rng), 2 * cost(rng)};
    for (int i = 0; i < layers; ++i) costs.layers.push_back(cost(rng));
    for (int stages = 1; stages <= layers; ++stages) {
      const auto ranges = BalanceStages(costs, stages);
      ASSERT_TRUE(ranges.ok());
      Counts(ranges);
      std::vector<LayerRange> scratch;
      EXPECT_NEAR(Dearest(costs, *ranges),
                  BestByTrial(costs, stages, 0, scratch), 1e-8);
    }
  }
}

// The sums of squares among divisions whose dearest stage is the same, and of
// those the earliest cuts.
TEST(PartitionTest, AmongEqualsStagesAreEven) {
  EXPECT_THAT(
      Counts(BalanceStages(Equal(126, 0, 0), 36)),
      ElementsAre(3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4,
                  4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4));
  EXPECT_THAT(Counts(BalanceStages(Equal(12, 0, 5), 3)), ElementsAre(5, 6, 1));
  const LayerCosts heavy{{9, 1, 1, 1, 1, 1}, 0, 0};
  EXPECT_THAT(Counts(BalanceStages(heavy, 3)), ElementsAre(1, 2, 3));
}

TEST(PartitionTest, ExplicitCountsAreTakenAsTheyAre) {
  const std::vector<int> counts = {1, 5, 2};
  EXPECT_THAT(Counts(StagesOf(counts, 8, 3)), ElementsAre(1, 5, 2));
  const std::vector<int> parts = {1, 3, 2, 2};
  EXPECT_THAT(Counts(StagesOf(parts, 8, 2, /*chunks=*/2)),
              ElementsAre(1, 3, 2, 2));
}

TEST(PartitionTest, ExplicitCountsAreChecked) {
  const auto error = [](std::vector<int> counts, int layers, int stages) {
    return std::string(StagesOf(counts, layers, stages).status().message());
  };
  EXPECT_EQ(error({3, 5}, 8, 3),
            "parallel.layers_per_stage=[3, 5] has 2 entries, but "
            "parallel.pipeline=3; one that works: [2, 3, 3]");
  EXPECT_THAT(error({4, 0, 4}, 8, 3), HasSubstr("at least 1 layer"));
  EXPECT_THAT(error({4, 4, 4}, 8, 3),
              HasSubstr("does not add up to model.layers=8"));
  EXPECT_THAT(error({1, 1, 1}, 8, 3), HasSubstr("does not add up"));
  EXPECT_THAT(error({0x7fffffff, 0x7fffffff, 8}, 8, 3),
              HasSubstr("does not add up"));
  EXPECT_THAT(error({1, 1}, 1, 2), HasSubstr("parallel.pipeline=2"));
}

}  // namespace
}  // namespace eisbach::parallel::partition_test
