#include "parallel/pipeline/place_exchanges.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "parallel/pipeline/forward_only.h"
#include "parallel/pipeline/simulate.h"

namespace eisbach::parallel::place_exchanges_test {
namespace {

using ::testing::HasSubstr;

const Action kF0{ActionKind::kForward, 0};
const Action kF1{ActionKind::kForward, 1};
const Action kB0{ActionKind::kBackward, 0};
const Action kB1{ActionKind::kBackward, 1};

Schedule Place(const ScheduleShape& shape, std::vector<ActionList> orders) {
  auto lists = PlaceExchanges(shape, std::move(orders));
  EXPECT_TRUE(lists.ok()) << lists.status();
  return {"by hand", shape, *std::move(lists)};
}

// Any order will do that can run at all, one that no schedule has, too.
TEST(PlaceExchangesTest, CompletesOrders) {
  const Schedule schedule =
      Place({2, 1, 2}, {{kF1, kF0, kB1, kB0}, {kF1, kB1, kF0, kB0}});
  EXPECT_EQ(ToString(schedule),
            "stage 0: F1 {a1>1} F0 {a0>1 g1<1} B1 {g0<1} B0 R\n"
            "stage 1: {a1<0} {a0<0} F1 B1 {g1>0} F0 B0 {g0>0} R\n");
  EXPECT_TRUE(Simulate(schedule, EqualStages(2, 1, 0.5)).ok());
}

TEST(PlaceExchangesTest, RefusesOrdersThatWaitForOneAnother) {
  // Stage 0 wants the gradient of 0 before it makes the activation of 1, stage
  // 1 the activation of 1 first.
  const absl::Status status =
      PlaceExchanges({2, 1, 2}, {{kF0, kB0, kF1, kB1}, {kF1, kB1, kF0, kB0}})
          .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("stage 0 before B0"));
}

// Evaluation passes chunks in the order of the model, whatever the placement.
TEST(PlaceExchangesTest, ForwardsAlone) {
  for (const Placement placement : {Placement::kRound, Placement::kV}) {
    for (int stages = 1; stages <= 4; ++stages) {
      for (int chunks = 1; chunks <= 3; ++chunks) {
        const auto schedule =
            ForwardOnly({stages, chunks, 7, placement}, /*microbatches=*/3);
        ASSERT_TRUE(schedule.ok()) << schedule.status();
        for (const ActionList& list : schedule->stages) {
          int forwards = 0;
          for (const Action& action : list) {
            if (action.kind == ActionKind::kExchange) continue;
            EXPECT_EQ(action.kind, ActionKind::kForward);
            EXPECT_EQ(action.chunk, forwards / 3);
            EXPECT_EQ(action.microbatch, forwards++ % 3);
          }
          EXPECT_EQ(forwards, chunks * 3);
        }
      }
    }
  }
}

}  // namespace
}  // namespace eisbach::parallel::place_exchanges_test
