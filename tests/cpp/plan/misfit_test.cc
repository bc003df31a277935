#include "plan/misfit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cpp/plan/plan_testing.h"
#include "support/status_testing.h"

namespace eisbach::plan::misfit_test {
namespace {

class MisfitTest : public ::testing::Test {
 protected:
  MisfitTest() {
    config_ = test::ToyConfig("llama");
    config_.model.context = 2048;
    config_.global_batch = 32;
  }

  bool Fits() const {
    return !test::Value(Search(config_, machine_, options_)).fitting.empty();
  }
  // Of a search that finds nothing.
  Misfit Of() const {
    EXPECT_FALSE(Fits());
    return test::Value(WhatFits(config_, machine_, options_));
  }

  train::EngineConfig config_;
  Hardware machine_ = RoundMachine();
  SearchOptions options_{.devices = 1};
};

TEST_F(MisfitTest, EachThatIsOfferedFitsAndNothingElseIs) {
  machine_.memory_bytes = 1;
  const Misfit all = Of();
  EXPECT_FALSE(all.devices.has_value());
  EXPECT_FALSE(all.context.has_value());
  EXPECT_TRUE(all.keys.empty());
  // Half of what it takes.
  machine_.memory_bytes = all.memory / 2;
  const Misfit half = Of();
  EXPECT_EQ(half.least.forecast.memory(), all.least.forecast.memory());
  ASSERT_TRUE(half.devices.has_value());
  options_.devices = static_cast<int>(*half.devices);
  EXPECT_TRUE(Fits());
  options_.devices = static_cast<int>(*half.devices) * 8 / 9;
  EXPECT_FALSE(Fits());
  options_.devices = 1;
  if (half.context) {
    config_.model.context = 2 * *half.context;
    EXPECT_FALSE(Fits());
    config_.model.context = *half.context;
    EXPECT_TRUE(Fits());
    config_.model.context = 2048;
  }
  machine_.memory_bytes = half.memory * 1.001;
  EXPECT_TRUE(Fits());
}

TEST_F(MisfitTest, AShorterRowIsOfferedWhereItsTokensAreTooMany) {
  // What is there without any tokens is a little less.
  config_.model.context = 512;
  config_.global_batch = 4;
  const Candidate small = test::Value(LeastMemory(config_, machine_, options_));
  config_.model.context = 2048;
  machine_.memory_bytes = static_cast<double>(small.forecast.memory()) /
                          options_.memory_share * 1.01;
  const Misfit misfit = Of();
  ASSERT_TRUE(misfit.context.has_value());
  EXPECT_GE(*misfit.context, 512);
}

TEST_F(MisfitTest, KeysInTheWayAreNamed) {
  options_.devices = 8;
  options_.fixed = {.tensor = 1, .pipeline = 1, .context = 1};
  const Candidate free = test::Value(LeastMemory(config_, machine_, options_));
  machine_.memory_bytes = static_cast<double>(free.forecast.memory()) /
                          options_.memory_share * 1.02;
  options_.fixed.zero = 0;
  const Misfit misfit = Of();
  std::vector<std::string> keys;
  for (const FixedKey* key : GivenKeys(options_.fixed)) {
    const Fixed before = options_.fixed;
    key->copy({}, options_.fixed);
    if (Fits()) keys.emplace_back(key->name);
    options_.fixed = before;
  }
  EXPECT_EQ(misfit.keys, keys);
  EXPECT_THAT(keys, ::testing::Contains("parallel.zero"));
  EXPECT_THAT(keys, ::testing::Not(::testing::Contains("parallel.context")));
}

}  // namespace
}  // namespace eisbach::plan::misfit_test
