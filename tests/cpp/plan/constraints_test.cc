#include "plan/constraints.h"

#include <gtest/gtest.h>

#include "cpp/plan/plan_testing.h"
#include "plan/least_memory.h"
#include "support/status_testing.h"

namespace eisbach::plan::constraints_test {
namespace {

class ConstraintsTest : public ::testing::Test {
 protected:
  ConstraintsTest() {
    config_ = test::ToyConfig("llama");
    config_.model.context = 64;
    config_.global_batch = 32;
    config_.micro_batch = 1;
    options_.devices = 8;
    options_.ranking.run.steps = 1000;
  }

  SearchResult Found() {
    return test::Value(Search(config_, machine_, options_));
  }
  Neighbours Of(const SearchResult& found) {
    return {config_, machine_, options_, found};
  }
  double Hours(const Candidate& candidate) {
    return CostOn(candidate.layout.devices(), UseOf(candidate.forecast),
                  options_.ranking, machine_)
        .hours;
  }

  train::EngineConfig config_;
  Hardware machine_ = RoundMachine();
  SearchOptions options_;
};

TEST_F(ConstraintsTest, FewerDevicesAreTheBestLayoutsDividedAnew) {
  const SearchResult found = Found();
  const Candidate& best = found.fitting.front();
  double before = best.forecast.seconds;
  for (const int devices : {4, 2, 1}) {
    const auto fewer = test::Value(BestOn(Of(found), devices));
    ASSERT_TRUE(fewer.has_value()) << devices;
    EXPECT_LE(fewer->layout.devices(), devices);
    EXPECT_GT(fewer->forecast.seconds, before);
    // A search of its own finds nothing that is far better.
    SearchOptions alone = options_;
    alone.devices = devices;
    const SearchResult whole = test::Value(Search(config_, machine_, alone));
    EXPECT_LT(fewer->forecast.seconds,
              1.2 * whole.fitting.front().forecast.seconds);
    EXPECT_GE(fewer->forecast.seconds, whole.fitting.front().forecast.seconds);
    before = fewer->forecast.seconds;
  }
  EXPECT_LT(test::Value(BestOn(Of(found), 16))->forecast.seconds,
            best.forecast.seconds);
}

TEST_F(ConstraintsTest, WhatDoesNotFitFewerIsNotMadeUp) {
  options_.fixed.tensor = 2;
  options_.fixed.pipeline = 2;
  const SearchResult found = Found();
  EXPECT_TRUE(test::Value(BestOn(Of(found), 4)).has_value());
  EXPECT_THAT(BestOn(Of(found), 3),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "parallel.tensor=2 and parallel.pipeline=2"));
  options_.fixed = {};
  machine_.memory_bytes =
      1.2 * static_cast<double>(
                test::Value(LeastMemory(config_, machine_, {.devices = 4}))
                    .forecast.memory());
  EXPECT_FALSE(test::Value(BestOn(Of(Found()), 1)).has_value());
}

TEST_F(ConstraintsTest, ADeadlineIsMetByNoFewerDevices) {
  const double quickest = Hours(Found().fitting.front());
  options_.ranking.most_hours = 2.5 * quickest;
  const SearchResult found = Found();
  for (const Candidate& candidate : found.fitting) {
    EXPECT_LE(Hours(candidate), options_.ranking.most_hours);
  }
  const Candidate fewest = test::Value(FewestDevices(Of(found)));
  EXPECT_LE(Hours(fewest), options_.ranking.most_hours);
  EXPECT_LT(fewest.layout.devices(), 8);
  const auto fewer =
      test::Value(BestOn(Of(found), fewest.layout.devices() - 1));
  ASSERT_TRUE(fewer.has_value());
  EXPECT_GT(Hours(*fewer), options_.ranking.most_hours);
}

TEST_F(ConstraintsTest, ADeadlineThatNothingMeetsNamesTheNearest) {
  const double quickest = Hours(Found().fitting.front());
  for (const RankBy by : {RankBy::kTime, RankBy::kCost}) {
    options_.ranking.by = by;
    options_.ranking.most_hours = quickest / 2;
    const auto refused = Search(config_, machine_, options_);
    ASSERT_FALSE(refused.ok());
    const std::string said(refused.status().message());
    const size_t at = said.rfind("deadline=");
    ASSERT_NE(at, std::string::npos) << said;
    // What is offered works.
    options_.ranking.most_hours = std::stod(said.substr(at + 9));
    EXPECT_GE(options_.ranking.most_hours, quickest);
    EXPECT_TRUE(Search(config_, machine_, options_).ok());
  }
}

TEST_F(ConstraintsTest, ASiteFeedsSoManyDevices) {
  machine_.site_factor = 1.25;  // 625 W each
  EXPECT_EQ(test::Value(DevicesOf(6250, machine_)), 10);
  EXPECT_EQ(test::Value(DevicesOf(6249, machine_)), 9);
  EXPECT_THAT(DevicesOf(600, machine_),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "power_cap=0.0006 MW: one device of round draws "
                             "500 W at full load, 625 W with what the site "
                             "adds; nearest that works: power_cap=0.000625"));
  machine_.busy_watts = 0;
  EXPECT_FALSE(DevicesOf(600, machine_).ok());
}

TEST_F(ConstraintsTest, ACapIsKeptOrTheNearestIsNamed) {
  for (const Candidate& candidate :
       test::Value(SearchFed(config_, machine_, options_, 2000)).fitting) {
    EXPECT_LE(candidate.layout.devices(), 4);
  }
  options_.fixed.tensor = 2;
  options_.fixed.pipeline = 2;
  EXPECT_THAT(
      SearchFed(config_, machine_, options_, 1600),
      test::StatusIs(absl::StatusCode::kInvalidArgument,
                     "power_cap=0.0016 MW feeds 3 devices of round at full "
                     "load, on which no layout fits; nearest that works: "
                     "power_cap=0.002, for 4 devices"));
}

}  // namespace
}  // namespace eisbach::plan::constraints_test
