#include "parallel/pipeline/check_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace eisbach::parallel::check_schedule_test {
namespace {

using ::testing::HasSubstr;

constexpr StageTransfer kSendA0{Direction::kSend, Payload::kActivation, 0, 0,
                                1};
constexpr StageTransfer kReceiveA0{Direction::kReceive, Payload::kActivation, 0,
                                   0, 0};
constexpr StageTransfer kSendG0{Direction::kSend, Payload::kGradient, 0, 0, 0};
constexpr StageTransfer kReceiveG0{Direction::kReceive, Payload::kGradient, 0,
                                   0, 1};

Action Exchange(std::vector<StageTransfer> transfers) {
  return {ActionKind::kExchange, -1, 0, std::move(transfers)};
}

// Two stages, one micro-batch, written by hand.
Schedule Right() {
  return {"by hand",
          {.stages = 2, .chunks = 1, .microbatches = 1},
          {{{ActionKind::kForward, 0},
            Exchange({kSendA0}),
            Exchange({kReceiveG0}),
            {ActionKind::kBackward, 0},
            {ActionKind::kReduce}},
           {Exchange({kReceiveA0}),
            {ActionKind::kForward, 0},
            {ActionKind::kBackward, 0},
            Exchange({kSendG0}),
            {ActionKind::kReduce}}}};
}

void ExpectError(const Schedule& schedule, const std::string& message) {
  const absl::Status status = CheckSchedule(schedule);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr(message));
}

TEST(CheckScheduleTest, AcceptsTheRightOne) {
  EXPECT_EQ(CheckSchedule(Right()), absl::OkStatus());
}

TEST(CheckScheduleTest, AcceptsASplitBackward) {
  Schedule schedule = Right();
  ActionList& last = schedule.stages[1];
  last[2].kind = ActionKind::kBackwardInput;
  last.insert(last.end() - 1, {ActionKind::kBackwardWeight, 0});
  EXPECT_EQ(CheckSchedule(schedule), absl::OkStatus());

  std::swap(last[2], last[4]);
  ExpectError(schedule, "W0 comes before its input half");
}

TEST(CheckScheduleTest, FindsMissingAndRepeatedWork) {
  Schedule schedule = Right();
  schedule.stages[0].erase(schedule.stages[0].begin() + 3);
  ExpectError(schedule, "stage 0: R comes before the chunk's last backward");

  schedule = Right();
  schedule.stages[1].insert(schedule.stages[1].begin() + 2,
                            {ActionKind::kForward, 0});
  ExpectError(schedule, "stage 1: F0 comes twice");

  schedule = Right();
  schedule.stages[0].pop_back();
  ExpectError(schedule, "stage 0: chunk 0 is not reduced");

  schedule = Right();
  schedule.stages[0][0].microbatch = 1;
  ExpectError(schedule, "no such micro-batch");

  schedule = Right();
  schedule.stages.pop_back();
  ExpectError(schedule, "1 lists for 2 stages");
}

TEST(CheckScheduleTest, FindsWorkBeforeItsInput) {
  Schedule schedule = Right();
  std::swap(schedule.stages[1][0], schedule.stages[1][1]);
  ExpectError(schedule, "stage 1: F0 needs a0<0");

  schedule = Right();
  std::swap(schedule.stages[0][0], schedule.stages[0][1]);
  ExpectError(schedule, "stage 0: {a0>1} sends a0>1, which was not made");

  schedule = Right();
  std::swap(schedule.stages[1][1], schedule.stages[1][2]);
  ExpectError(schedule, "stage 1: B0 comes before its forward");
}

TEST(CheckScheduleTest, FindsTransfersThatDoNotMatch) {
  Schedule schedule = Right();
  schedule.stages[1].erase(schedule.stages[1].begin() + 3);
  ExpectError(schedule, "1 lists nothing, 0 lists g0<1");

  schedule = Right();
  schedule.stages[0][1].transfers[0].microbatch = 1;
  ExpectError(schedule, "0 lists a1>1, 1 lists a0<0");
}

TEST(CheckScheduleTest, FindsTransfersOfWhatIsNotThere) {
  Schedule schedule = Right();
  for (auto [stage, place] : {std::pair{0, 1}, std::pair{1, 0}}) {
    schedule.stages[stage][place].transfers[0].microbatch = 7;
  }
  ExpectError(schedule, "{a7>1} sends a7>1, which was not made");
  schedule.stages[0].erase(schedule.stages[0].begin() + 1);
  schedule.stages[0][1].transfers.push_back(
      {Direction::kSend, Payload::kActivation, 7, 0, 1});
  ExpectError(schedule, "which was not made");

  schedule = Right();
  schedule.stages[0][2].transfers.push_back(kReceiveG0);
  schedule.stages[1][3].transfers.push_back(kSendG0);
  ExpectError(schedule, "receives the same twice");
}

// Two chunks of one stage hand their results on without an exchange.
TEST(CheckScheduleTest, FindsAChunkBeforeTheOneThatItReadsFrom) {
  absl::StatusOr<Schedule> schedule = MakeSchedule("zb_v", 1, 2, 1);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  ActionList& list = schedule->stages[0];
  ASSERT_EQ(ToString(list[0]), "F0");
  ASSERT_EQ(ToString(list[1]), "F0.1");
  std::swap(list[0], list[1]);
  ExpectError(*schedule, "F0.1 comes before the part that it reads from");
}

// The order between a pair of stages is what pairs transfers up.
TEST(CheckScheduleTest, FindsTransfersInAnotherOrder) {
  absl::StatusOr<Schedule> schedule = MakeSchedule("gpipe", 2, 1, 3);
  ASSERT_TRUE(schedule.ok());
  ActionList& last = schedule->stages[1];
  ASSERT_EQ(ToString(last[0]), "{a0<0}");
  ASSERT_EQ(ToString(last[1]), "{a1<0}");
  std::swap(last[0], last[1]);
  ExpectError(*schedule, "0 lists a0>1, 1 lists a1<0");
}

}  // namespace
}  // namespace eisbach::parallel::check_schedule_test
