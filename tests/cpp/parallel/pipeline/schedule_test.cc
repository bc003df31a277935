#include "parallel/pipeline/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "parallel/pipeline/check_schedule.h"
#include "parallel/pipeline/simulate.h"

namespace eisbach::parallel {
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
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("\"1f1p\" is not one of 1f1b, gpipe"),
                    HasSubstr("parallel.schedule")));
  EXPECT_THAT(ScheduleNames(), AllOf(Contains("gpipe"), Contains("1f1b")));
}

TEST(ScheduleTest, SizesAreChecked) {
  for (const std::string& name : ScheduleNames()) {
    EXPECT_FALSE(MakeSchedule(name, 0, 1, 4).ok());
    EXPECT_FALSE(MakeSchedule(name, 2, 0, 4).ok());
    EXPECT_FALSE(MakeSchedule(name, 2, 1, 0).ok());
    EXPECT_FALSE(MakeSchedule(name, 2, 2, 4).ok());
  }
}

TEST(ScheduleTest, GPipeReadsAsExpected) {
  EXPECT_EQ(ToString(Make("gpipe", 2, 3)),
            "stage 0: F0 {a0>1} F1 {a1>1} F2 {a2>1 g0<1} {g1<1} B0 {g2<1} B1 "
            "B2 R\n"
            "stage 1: {a0<0} {a1<0} F0 {a2<0} F1 F2 B0 {g0>0} B1 {g1>0} B2 "
            "{g2>0} R\n");
}

TEST(ScheduleTest, OneForwardOneBackwardReadsAsExpected) {
  EXPECT_EQ(ToString(Make("1f1b", 3, 4)),
            "stage 0: F0 {a0>1} F1 {a1>1} F2 {a2>1 g0<1} B0 F3 {a3>1 g1<1} B1 "
            "{g2<1} B2 {g3<1} B3 R\n"
            "stage 1: {a0<0} {a1<0} F0 {a0>2} F1 {a1>2 g0<2} B0 {g0>0 a2<0} "
            "F2 {a2>2 g1<2} B1 {g1>0 a3<0} F3 {a3>2 g2<2} B2 {g2>0 g3<2} B3 "
            "{g3>0} R\n"
            "stage 2: {a0<1} F0 B0 {g0>1 a1<1} F1 B1 {g1>1 a2<1} F2 B2 {g2>1 "
            "a3<1} F3 B3 {g3>1} R\n");
}

// In the steady state a boundary's activation and gradient go in one exchange
// on both sides.
TEST(ScheduleTest, SteadyStatePairsForwardWithBackward) {
  for (int stages = 2; stages <= 6; ++stages) {
    const int n = 3 * stages;
    const Schedule schedule = Make("1f1b", stages, n);
    for (int s = 0; s + 1 < stages; ++s) {
      const int warmup = stages - 1 - s;
      for (int m = 0; m + warmup < n; ++m) {
        const StageTransfer send{Direction::kSend, Payload::kActivation,
                                 warmup + m, 0, s + 1};
        const StageTransfer receive{Direction::kReceive, Payload::kGradient, m,
                                    0, s + 1};
        EXPECT_THAT(
            schedule.stages[s],
            Contains(::testing::Field(
                &Action::transfers, AllOf(Contains(send), Contains(receive)))));
        const StageTransfer receive_back{
            Direction::kReceive, Payload::kActivation, warmup + m, 0, s};
        const StageTransfer send_back{Direction::kSend, Payload::kGradient, m,
                                      0, s};
        EXPECT_THAT(schedule.stages[s + 1],
                    Contains(::testing::Field(
                        &Action::transfers,
                        AllOf(Contains(receive_back), Contains(send_back)))))
            << (warmup + m == warmup ? "first" : "later") << " pair of " << s;
      }
    }
  }
}

TEST(ScheduleTest, BackwardsKeepTheOrderOfMicrobatches) {
  for (const std::string& name : ScheduleNames()) {
    for (const ActionList& list : Make(name, 4, 9).stages) {
      int next = 0;
      for (const Action& action : list) {
        if (action.kind == ActionKind::kBackward) {
          EXPECT_EQ(action.microbatch, next++);
        }
      }
      EXPECT_EQ(next, 9);
    }
  }
}

class ScheduleSweep : public ::testing::TestWithParam<std::string> {};

TEST_P(ScheduleSweep, IsRightAndNeverDeadlocks) {
  for (int stages = 1; stages <= 8; ++stages) {
    for (int n = 1; n <= 64; ++n) {
      const Schedule schedule = Make(GetParam(), stages, n);
      ASSERT_EQ(CheckSchedule(schedule), absl::OkStatus())
          << stages << " stages, " << n << " micro-batches";
      // Uneven stages and slow transfers shake the order of events.
      SimulationTimes times = EqualStages(stages, 1.0, 0.5);
      for (int s = 0; s < stages; ++s) {
        times.stages[s].forward = 1.0 + 0.37 * ((s * 5 + n) % 4);
        times.stages[s].backward = 0.5 + 0.61 * ((s * 3 + n) % 5);
      }
      for (const auto& t : {times, EqualStages(stages, 1.0, 0.0),
                            EqualStages(stages, 0.0, 1.0)}) {
        const absl::StatusOr<Simulation> run = Simulate(schedule, t);
        ASSERT_TRUE(run.ok()) << run.status();
        for (int s = 0; s < stages; ++s) {
          const int bound = GetParam() == "gpipe" ? n : std::min(stages - s, n);
          EXPECT_EQ(run->stages[s].peak_activations, bound)
              << stages << " stages, " << n << " micro-batches, stage " << s;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Names, ScheduleSweep,
                         ::testing::ValuesIn(ScheduleNames()),
                         [](const auto& info) { return "S" + info.param; });

}  // namespace
}  // namespace eisbach::parallel
