#include "plan/why_none.h"

#include <gtest/gtest.h>

#include "cpp/plan/plan_testing.h"
#include "support/status_testing.h"

namespace eisbach::plan::why_none_test {
namespace {

class WhyNoneTest : public ::testing::Test {
 protected:
  WhyNoneTest() {
    config_ = test::ToyConfig("llama");  // 8 layers, 24 heads
    config_.model.layers = 8;
    config_.model.context = 64;
    config_.global_batch = 32;
  }

  // What is said where nothing is left, and nothing else is in the way of what
  // is offered.
  std::string Said(int devices, const Fixed& fixed, int64_t experts = 0) {
    const Ways ways{config_, machine_, devices, fixed, RankBy::kTime, experts};
    EXPECT_FALSE(AnyLayout(ways));
    const absl::Status status = WhyNone(ways);
    EXPECT_THAT(status, test::StatusIs(absl::StatusCode::kInvalidArgument, ""));
    return std::string(status.message());
  }

  train::EngineConfig config_;
  Hardware machine_ = RoundMachine();
};

TEST_F(WhyNoneTest, OneKeyThatStandsInTheWayIsNamedAlone) {
  EXPECT_EQ(Said(4, {.data = 2, .tensor = 8, .micro_batch = 4}),
            "parallel.tensor=8: data x tensor x pipeline x context = 8 is more "
            "than the 4 devices; nearest that works: parallel.tensor=2");
  EXPECT_EQ(Said(1, {.data = 2}),
            "parallel.data=2: data x tensor x pipeline x context = 2 is more "
            "than the one device; nearest that works: parallel.data=1");
  EXPECT_EQ(Said(8, {.tensor = 2, .micro_batch = 5}),
            "train.micro_batch=5: data x micro_batch = 5 does not divide "
            "train.global_batch=32; nearest that works: train.micro_batch=4");
  EXPECT_EQ(Said(8, {.data = 5}),
            "parallel.data=5: data x micro_batch = 5 does not divide "
            "train.global_batch=32; nearest that works: parallel.data=4");
  EXPECT_EQ(Said(32, {.pipeline = 9}),
            "parallel.pipeline=9: pipeline x chunks = 9 needs as many layers, "
            "and model.layers=8; nearest that works: parallel.pipeline=8");
  EXPECT_EQ(Said(2, {.context = 4}),
            "parallel.context=4: data x tensor x pipeline x context = 4 is "
            "more than the 2 devices; nearest that works: parallel.context=2");
  EXPECT_EQ(Said(8, {.context = 3}),
            "parallel.context=3: 2 x context = 6 does not divide "
            "model.context=64; nearest that works: parallel.context=2");
  EXPECT_EQ(Said(2, {.chunks = 9}),
            "parallel.chunks=9: pipeline x chunks = 9 needs as many layers, "
            "and model.layers=8; nearest that works: parallel.chunks=8");
  EXPECT_EQ(Said(2, {.tensor = 0}),
            "parallel.tensor=0: is below 1; nearest that works: "
            "parallel.tensor=1");
}

TEST_F(WhyNoneTest, KeysThatAreInOneAnothersWayAreNamedTogether) {
  EXPECT_EQ(Said(4, {.data = 2, .tensor = 4, .micro_batch = 1}),
            "parallel.tensor=4 and parallel.data=2: data x tensor x pipeline x "
            "context = 8 is more than the 4 devices; nearest that works: "
            "parallel.tensor=2 or parallel.data=1");
  EXPECT_EQ(Said(8, {.pipeline = 4, .chunks = 4}),
            "parallel.pipeline=4 and parallel.chunks=4: pipeline x chunks = 16 "
            "needs as many layers, and model.layers=8; nearest that works: "
            "parallel.pipeline=2 or parallel.chunks=2");
  EXPECT_EQ(Said(8, {.schedule = "1f1b", .chunks = 2}),
            "parallel.chunks=2 and parallel.schedule=1f1b: schedule 1f1b runs "
            "1 chunk of a stage, not 2; nearest that works: parallel.chunks=1 "
            "or parallel.schedule=interleaved");
  EXPECT_EQ(Said(8, {.data = 8, .micro_batch = 8}),
            "parallel.data=8 and train.micro_batch=8: data x micro_batch = 64 "
            "does not divide train.global_batch=32; nearest that works: "
            "parallel.data=4 or train.micro_batch=4");
}

TEST_F(WhyNoneTest, WhatIsOfferedWorksBesideAllThatIsGiven) {
  // Beside 8 data and 2 context ranks there is room for no tensor ranks.
  EXPECT_EQ(Said(8, {.data = 8, .tensor = 2, .context = 2}),
            "parallel.tensor=2 and parallel.data=8: data x tensor x pipeline x "
            "context = 16 is more than the 8 devices; nearest that works: "
            "parallel.data=2");
}

TEST_F(WhyNoneTest, SeveralThingsInTheWayAreToldOneByOne) {
  // Without the micro-batch, tensor ranks still are too many.
  EXPECT_EQ(Said(4, {.tensor = 8, .micro_batch = 5}),
            "parallel.tensor=8: data x tensor x pipeline x context = 8 is more "
            "than the 4 devices; nearest that works: parallel.tensor=4");
}

TEST_F(WhyNoneTest, ExpertRanksDivideExpertsAndRanks) {
  EXPECT_EQ(Said(8, {.expert = 5}, 12),
            "expert_parallel=5: does not divide both experts=12 and the ranks "
            "of a stage (data x context x tensor) on any layout of at most 8 "
            "devices; nearest that works: expert_parallel=4");
  EXPECT_EQ(Said(8, {.tensor = 1, .pipeline = 8, .expert = 2}, 12),
            "parallel.pipeline=8 and expert_parallel=2: does not divide both "
            "experts=12 and the ranks of a stage (data x context x tensor) on "
            "any layout of at most 8 devices; nearest that works: "
            "parallel.pipeline=4 or expert_parallel=1");
}

}  // namespace
}  // namespace eisbach::plan::why_none_test
