#include "parallel/pipeline/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

namespace eisbach::parallel::simulate_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Schedule Make(absl::string_view name, int stages, int microbatches,
              int chunks = 1) {
  absl::StatusOr<Schedule> schedule =
      MakeSchedule(name, stages, chunks, microbatches);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return *std::move(schedule);
}

Simulation Time(const Schedule& schedule, const SimulationTimes& times) {
  absl::StatusOr<Simulation> run = Simulate(schedule, times);
  EXPECT_TRUE(run.ok()) << run.status();
  return *std::move(run);
}

// GPipe's transfers run behind compute: they are seen once a boundary and
// direction, when the pipeline fills and drains.
TEST(SimulateTest, GPipeHidesItsTransfers) {
  for (int stages = 2; stages <= 8; ++stages) {
    for (int n : {1, 2, 4, 16, 64}) {
      for (double transfer : {0.1, 0.5, 0.9}) {
        const Simulation run =
            Time(Make("gpipe", stages, n), EqualStages(stages, 1.0, transfer));
        EXPECT_NEAR(run.seconds,
                    3.0 * (n + stages - 1) + 2 * transfer * (stages - 1), 1e-9)
            << stages << " stages, " << n << " micro-batches";
      }
    }
  }
}

// 1F1B with its few activations cannot hide them all; it must not pay more than
// one exchange each way for a micro-batch.
TEST(SimulateTest, OneForwardOneBackwardPaysTwoTransfersAMicrobatch) {
  for (int stages = 2; stages <= 8; ++stages) {
    for (int n : {1, 2, 4, 16, 64}) {
      const Simulation run =
          Time(Make("1f1b", stages, n), EqualStages(stages, 1.0, 0.1));
      EXPECT_LE(run.seconds,
                3.0 * (n + stages - 1) + 2 * 0.1 * (n + stages - 2) + 1e-9)
          << stages << " stages, " << n << " micro-batches";
    }
  }
}

TEST(SimulateTest, TimelinesAddUp) {
  const Simulation run = Time(Make("1f1b", 4, 8), EqualStages(4, 1.0, 0.25));
  ASSERT_EQ(run.stages.size(), 4u);
  for (const StageTimeline& stage : run.stages) {
    double busy = 0;
    double last = 0;
    for (const Interval& interval : stage.compute) {
      EXPECT_GE(interval.begin, last - 1e-12);
      last = interval.end;
      busy += interval.end - interval.begin;
    }
    EXPECT_NEAR(busy, stage.busy_seconds, 1e-12);
    EXPECT_NEAR(busy, 24.0, 1e-12);
    EXPECT_EQ(stage.compute.size(), 17u);  // 8 forwards, 8 backwards, reduce
    last = 0;
    for (const Interval& interval : stage.exchanges) {
      EXPECT_GE(interval.begin, last - 1e-12);
      EXPECT_GE(interval.end - interval.begin, 0.25 - 1e-12);
      last = interval.end;
    }
    EXPECT_LE(last, run.seconds + 1e-12);
  }
}

TEST(SimulateTest, SlowStageSetsThePace) {
  SimulationTimes times = EqualStages(3, 1.0, 0.0);
  times.stages[1] = {5.0, 10.0, 5.0, 5.0};
  const Simulation run = Time(Make("1f1b", 3, 16), times);
  EXPECT_GE(run.seconds, 16 * 15.0);
  EXPECT_LE(run.seconds, 16 * 15.0 + 2 * 6.0);
}

// Both stages list the same transfers in the same order for each direction,
// but each waits for what the other would send only later.
TEST(SimulateTest, FindsADeadlock) {
  Schedule schedule = Make("1f1b", 2, 2);
  ASSERT_EQ(ToString(schedule),
            "stage 0: F0 {a0>1} F1 {a1>1 g0<1} B0 {g1<1} B1 R\n"
            "stage 1: {a0<0} {a1<0} F0 B0 {g0>0} F1 B1 {g1>0} R\n");
  // Stage 0 asks for the gradient of 0 before it sends the activation of 0.
  ActionList& first = schedule.stages[0];
  const StageTransfer gradient = first[3].transfers[1];
  first[3].transfers.pop_back();
  first.insert(first.begin() + 1, {ActionKind::kExchange, -1, 0, {gradient}});

  const absl::Status status =
      Simulate(schedule, EqualStages(2, 1.0, 0.1)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("deadlock"), HasSubstr("stage 0"),
                    HasSubstr("in {g0<1}"), HasSubstr("stage 1 before F0")));
}

// Two sends that meet face to face, each in a call of its own.
TEST(SimulateTest, FindsSendsFaceToFace) {
  Schedule schedule = Make("1f1b", 2, 2);
  ActionList& first = schedule.stages[0];
  ActionList& last = schedule.stages[1];
  Action gradient = first[3];
  gradient.transfers.erase(gradient.transfers.begin());
  first[3].transfers.pop_back();
  first.insert(first.begin() + 4, gradient);
  ASSERT_EQ(ToString(first[3]), "{a1>1}");
  ASSERT_EQ(ToString(first[4]), "{g0<1}");
  // Stage 1 sends its gradient before it receives what stage 0 sends first.
  std::rotate(last.begin() + 1, last.begin() + 2, last.begin() + 5);
  ASSERT_EQ(ToString(last[3]), "{g0>0}");
  ASSERT_EQ(ToString(last[4]), "{a1<0}");
  EXPECT_THAT(
      std::string(
          Simulate(schedule, EqualStages(2, 1.0, 0.1)).status().message()),
      AllOf(HasSubstr("in {a1>1}"), HasSubstr("in {g0>0}")));
}

TEST(SimulateTest, TimesMustFitTheStages) {
  EXPECT_EQ(
      Simulate(Make("1f1b", 2, 2), EqualStages(3, 1.0, 0.1)).status().code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(SimulateTest, TimesMustBeDurations) {
  for (const double time : {-1.0, std::nan(""), HUGE_VAL}) {
    const absl::Status status =
        Simulate(Make("1f1b", 2, 2), EqualStages(2, 1.0, time)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("of a transfer"));
  }
}

// Two micro-batches through chunks 0 and 1 of a lone stage.
TEST(SimulateTest, ChunksMayHaveTimesOfTheirOwn) {
  const Schedule schedule = Make("zb_v", 1, 2, /*chunks=*/2);
  const SimulationTimes times{{{1.0, 5.0, 2.0, 3.0}, {10.0, 50.0, 20.0, 30.0}},
                              0.0};
  const Simulation run = Time(schedule, times);
  EXPECT_DOUBLE_EQ(run.seconds, 2 * (6.0 + 60.0));
  for (const Interval& interval : run.stages[0].compute) {
    const Action& action = schedule.stages[0][interval.action];
    if (action.kind != ActionKind::kForward) continue;
    EXPECT_DOUBLE_EQ(interval.end - interval.begin,
                     action.chunk == 0 ? 1.0 : 10.0);
  }
  const std::vector<StageTimes> three(3, {1.0, 2.0, 1.0, 1.0});
  EXPECT_THAT(std::string(Simulate(schedule, {three, 0.0}).status().message()),
              HasSubstr("times for 3 chunks, not 2"));
}

TEST(SimulateTest, ChunksShareTheTimesOfAStage) {
  const SimulationTimes times =
      EqualShares({3, 4, 8}, {1.0, 2.0, 1.5, 0.5}, 0.25);
  ASSERT_EQ(times.stages.size(), 3u);
  EXPECT_EQ(times.stages[2].forward, 0.25);
  EXPECT_EQ(times.stages[2].backward, 0.5);
  EXPECT_EQ(times.stages[2].backward_input, 0.375);
  EXPECT_EQ(times.stages[2].backward_weight, 0.125);
  EXPECT_EQ(times.transfer, 0.25);
}

}  // namespace
}  // namespace eisbach::parallel::simulate_test
