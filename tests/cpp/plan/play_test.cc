#include "plan/play.h"

#include <gtest/gtest.h>

#include <array>

#include "cpp/plan/plan_testing.h"
#include "support/status_testing.h"

namespace eisbach::plan::play_test {
namespace {

// Ops take their bytes / 1e11 seconds, gathers of a group of 2 theirs / 2e10.
class PlayTest : public ::testing::Test {
 protected:
  PlayTest() {
    record_.names = {"op", "all_gather", "tensor"};
    record_.streams = 2;
    machine_.domain.latency = 0;
  }

  void Op(double seconds, uint8_t stream = 0) {
    record_.work.push_back({.kind = Work::Kind::kOp,
                            .stream = stream,
                            .op = {.bytes_read = seconds * 1e11}});
  }
  void Gather(double seconds, uint8_t stream) {
    record_.work.push_back(
        {.kind = Work::Kind::kCollective,
         .stream = stream,
         .name = 1,
         .group = 2,
         .collective = {.bytes = seconds * 2e10, .group_size = 2}});
  }
  void Add(Work::Kind kind, uint8_t stream, int64_t event) {
    record_.work.push_back({.kind = kind, .stream = stream, .event = event});
  }
  void Action(char letter, int micro_batch) {
    record_.work.push_back(
        {.kind = Work::Kind::kAction,
         .action = {.letter = letter, .micro_batch = micro_batch}});
  }
  Played Run(const PlayOptions& options = {}) {
    record_.work.push_back({.kind = Work::Kind::kStepEnd});
    return Play(record_, test::Value(parallel::MakeMesh(2, {.tensor = 2})),
                machine_, options);
  }

  WorkRecord record_;
  Hardware machine_ = RoundMachine();
};

TEST_F(PlayTest, StreamsRunBesideOneAnother) {
  Gather(3, 1);
  Op(2);
  Op(4);
  const Played played = Run();
  EXPECT_DOUBLE_EQ(played.step_ends.at(0), 6);
  EXPECT_DOUBLE_EQ(played.busy.other_ops, 6);
  EXPECT_DOUBLE_EQ(played.busy.communication, 0);
  EXPECT_DOUBLE_EQ(played.collectives, 3);
}

TEST_F(PlayTest, EventsAreWaitedFor) {
  Op(1);
  Add(Work::Kind::kRecord, 0, 7);
  Add(Work::Kind::kWait, 1, 7);
  Gather(5, 1);
  Add(Work::Kind::kRecord, 1, 8);
  Op(2);
  Add(Work::Kind::kWait, 0, 8);
  Op(1);
  Add(Work::Kind::kWait, 0, 99);  // of an earlier step
  const Played played = Run();
  EXPECT_DOUBLE_EQ(played.step_ends.at(0), 7);
  EXPECT_DOUBLE_EQ(played.busy.communication, 3);
  EXPECT_DOUBLE_EQ(played.busy.sum(), 7);
}

TEST_F(PlayTest, CollectivesAndOpsMayTakeTurns) {
  machine_.shared_by_collectives = 1;
  record_.streams = 3;
  Op(1);
  Gather(3, 1);
  Gather(2, 2);
  Op(1);
  Gather(4, 1);
  Op(1);
  const Played played = Run();
  EXPECT_DOUBLE_EQ(played.step_ends.at(0), 12);
  EXPECT_DOUBLE_EQ(played.busy.other_ops, 3);
  EXPECT_DOUBLE_EQ(played.busy.communication, 9);
}

TEST_F(PlayTest, CollectivesTakeAShareOfTheDevice) {
  machine_.shared_by_collectives = 0.2;
  Gather(2, 1);
  Op(1);
  Op(4);
  // The first op is slowed all the way, the second as long as it goes on.
  const double first = 1 / 0.8;
  EXPECT_NEAR(Run().step_ends.at(0), first + 4 + (2 - first) * 0.25, 1e-9);
}

TEST_F(PlayTest, TheHostGivesOneThingAfterAnother) {
  machine_.host_launch = 2;
  Op(1);
  Op(5);
  Op(1);
  EXPECT_DOUBLE_EQ(Run({.replayed = true}).step_ends.at(0), 7);
  record_.work.pop_back();
  const Played played = Run({.replayed = false});
  EXPECT_DOUBLE_EQ(played.step_ends.at(0), 10);
  EXPECT_DOUBLE_EQ(played.busy.gaps, 3);
}

TEST_F(PlayTest, ActionsHaveTheirTime) {
  Action('F', 0);
  Op(1);
  Gather(2, 0);
  Action('B', 0);
  Op(4);
  Action(0, 0);
  Op(8);
  const Played played = Run();
  ASSERT_EQ(played.actions.size(), 2);
  EXPECT_EQ(played.actions[0].action.letter, 'F');
  EXPECT_DOUBLE_EQ(played.actions[0].seconds, 3);
  EXPECT_DOUBLE_EQ(played.actions[0].busy.communication, 2);
  EXPECT_DOUBLE_EQ(played.actions[1].seconds, 4);
  EXPECT_DOUBLE_EQ(played.step_ends.at(0), 15);
}

TEST_F(PlayTest, EachPieceHasItsPlaceWhereItIsAskedFor) {
  Gather(3, 1);
  Op(2);
  Op(4);
  EXPECT_TRUE(Run().work.empty());
  record_.work.pop_back();
  const Played played = Run({.each = true});
  ASSERT_EQ(played.work.size(), 3);
  const std::array<std::array<double, 2>, 3> places = {
      {{0, 3}, {0, 2}, {2, 6}}};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(played.work[i].index, i);
    EXPECT_DOUBLE_EQ(played.work[i].begin, places[i][0]);
    EXPECT_DOUBLE_EQ(played.work[i].end, places[i][1]);
  }
}

}  // namespace
}  // namespace eisbach::plan::play_test
