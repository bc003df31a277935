#include "parallel/pipeline/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "parallel/pipeline/simulate.h"

namespace eisbach::parallel::schedule_test {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

Schedule Make(absl::string_view name, int stages, int microbatches) {
  absl::StatusOr<Schedule> schedule =
      MakeSchedule(name, stages, 1, microbatches);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return *std::move(schedule);
}

TEST(ScheduleTest, UnknownNameListsTheKnown) {
  const absl::Status status = MakeSchedule("1f1p", 2, 1, 4).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      std::string(status.message()),
      AllOf(HasSubstr("\"1f1p\" is not one of 1f1b, dual_pipe_v, gpipe"),
            HasSubstr("parallel.schedule")));
  EXPECT_THAT(ScheduleNames(), AllOf(Contains("gpipe"), Contains("1f1b")));
}

TEST(ScheduleTest, SizesAreChecked) {
  for (const std::string& name : ScheduleNames()) {
    EXPECT_FALSE(MakeSchedule(name, 0, 1, 4).ok());
    EXPECT_FALSE(MakeSchedule(name, 2, 0, 4).ok());
    EXPECT_FALSE(MakeSchedule(name, 2, 1, 0).ok());
  }
}

TEST(ScheduleTest, ChunksThatDoNotFitAreRefused) {
  const auto expect = [](absl::string_view name, int chunks,
                         const std::string& nearest) {
    const absl::Status status = MakeSchedule(name, 2, chunks, 4).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(nearest));
  };
  expect("gpipe", 2,
         "runs 1 model chunk a stage, not 2 (parallel.chunks); nearest that "
         "works: 1");
  expect("1f1b", 3, "nearest that works: 1");
  expect("interleaved", 1, "nearest that works: 2");
  expect("zb_v", 1,
         "runs 2 model chunks a stage, not 1 (parallel.chunks); nearest that "
         "works: 2");
  expect("dual_pipe_v", 3, "nearest that works: 2");
}

TEST(ScheduleTest, WhatNobodyListsIsRefused) {
  constexpr int kHuge = 1 << 30;
  for (const absl::Status& status :
       {MakeSchedule("1f1b", 1, 1, kHuge).status(),
        MakeSchedule("zero_bubble", 4, kHuge + 1, 4).status(),
        ShapeOfSchedule("interleaved", kHuge, kHuge, kHuge).status()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("has more than 4194304 forwards"));
  }
}

// Receives stand before the action behind which they run, sends behind the one
// that made what they send.
TEST(ScheduleTest, GPipeReadsAsExpected) {
  EXPECT_EQ(ToString(Make("gpipe", 2, 3)),
            "stage 0: F0 {a0>1} F1 {a1>1} F2 {a2>1 g0<1} {g1<1} B0 {g2<1} B1 "
            "B2 R\n"
            "stage 1: {a0<0} {a1<0} F0 {a2<0} F1 F2 B0 {g0>0} B1 {g1>0} B2 "
            "{g2>0} R\n");
}

TEST(ScheduleTest, OneForwardOneBackwardReadsAsExpected) {
  EXPECT_EQ(ToString(Make("1f1b", 3, 4)),
            "stage 0: F0 {a0>1} F1 {a1>1} F2 {a2>1 g0<1} B0 {g1<1} F3 {a3>1} "
            "B1 {g2<1} B2 {g3<1} B3 R\n"
            "stage 1: {a0<0} {a1<0} F0 {a0>2 a2<0} F1 {a1>2 g0<2} B0 {g0>0 "
            "g1<2} F2 {a2>2} B1 {g1>0 a3<0} {g2<2} F3 {a3>2} B2 {g2>0 g3<2} "
            "B3 {g3>0} R\n"
            "stage 2: {a0<1} {a1<1} F0 B0 {g0>1} F1 B1 {g1>1 a2<1} F2 B2 "
            "{g2>1 a3<1} F3 B3 {g3>1} R\n");
}

TEST(ScheduleTest, HalvesAndChunksReadAsExpected) {
  absl::StatusOr<Schedule> schedule = MakeSchedule("zb_v", 2, 2, 1);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  // The turn of the V stays on stage 1, without a transfer.
  EXPECT_EQ(ToString(*schedule),
            "stage 0: F0 {a0>1 a0.1<1} F0.1 I0.1 {g0.1>1} W0.1 R.1 {g0<1} I0 "
            "W0 R\n"
            "stage 1: {a0<0} F0 F0.1 {a0.1>0 g0.1<0} I0.1 W0.1 R.1 I0 {g0>0} "
            "W0 R\n");
}

TEST(ScheduleTest, MicrobatchesKeepTheirOrder) {
  for (const std::string& name : ScheduleNames()) {
    for (int chunks = 1; chunks <= 3; ++chunks) {
      const auto schedule = MakeSchedule(name, 4, chunks, 9);
      if (!schedule.ok()) continue;
      for (const ActionList& list : schedule->stages) {
        std::map<std::pair<ActionKind, int>, std::vector<int>> seen;
        for (const Action& action : list) {
          if (action.microbatch < 0) continue;
          // A whole backward and an input half are the same to upstream.
          const ActionKind kind = action.kind == ActionKind::kBackward
                                      ? ActionKind::kBackwardInput
                                      : action.kind;
          seen[{kind, action.chunk}].push_back(action.microbatch);
        }
        for (const auto& [key, microbatches] : seen) {
          EXPECT_TRUE(std::is_sorted(microbatches.begin(), microbatches.end()))
              << ToString(*schedule);
        }
      }
    }
  }
}

class ScheduleSweep : public ::testing::TestWithParam<std::string> {};

TEST_P(ScheduleSweep, IsRightAndNeverDeadlocks) {
  int shapes = 0;
  for (int stages = 1; stages <= 8; ++stages) {
    for (int chunks = 1; chunks <= 4; ++chunks) {
      for (int n = 1; n <= 32; ++n) {
        const auto schedule = MakeSchedule(GetParam(), stages, chunks, n);
        if (!schedule.ok()) continue;
        ++shapes;
        // Uneven stages and slow transfers shake the order of events.
        SimulationTimes times = EqualStages(stages, 1.0, 0.5);
        for (int s = 0; s < stages; ++s) {
          const double half = 0.25 + 0.3 * ((s * 3 + n) % 5);
          times.stages[s] = {1.0 + 0.37 * ((s * 5 + n) % 4), 0.5 + half, 0.5,
                             half};
        }
        for (const auto& t : {times, EqualStages(stages, 0.0, 1.0)}) {
          const absl::Status status = Simulate(*schedule, t).status();
          ASSERT_EQ(status, absl::OkStatus())
              << stages << " stages, " << chunks << " chunks, " << n
              << " micro-batches";
        }
      }
    }
  }
  EXPECT_GE(shapes, 8 * 32);
}

INSTANTIATE_TEST_SUITE_P(Names, ScheduleSweep,
                         ::testing::ValuesIn(ScheduleNames()),
                         [](const auto& info) { return "S" + info.param; });

}  // namespace
}  // namespace eisbach::parallel::schedule_test
