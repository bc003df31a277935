#include "watch/rank_view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "comm/group_activity.h"
#include "core/json.h"
#include "device/tracer.h"
#include "support/status_testing.h"

namespace eisbach::watch::rank_view_test {
namespace {

using comm::Activity;
using comm::CallKind;
using comm::CallMark;
using comm::GroupActivity;

class RankViewTest : public testing::Test {
 protected:
  RankView Read() {
    return ReadTable(activity_->table(), Tracer::Now(), /*calls=*/3);
  }

  std::shared_ptr<Activity> activity_ = Activity::OfThread(3);
  GroupActivity world_{activity_, "world", 3, 4};
};

TEST_F(RankViewTest, ShowsTheOldestCallThatIsNotOver) {
  world_.Collective(CallKind::kBarrier, DType::kU8, 0, 0).Done();
  const CallMark second =
      world_.Collective(CallKind::kAllReduce, DType::kF32, 40, 10);
  world_.Collective(CallKind::kBroadcast, DType::kF32, 80, 20);
  RankView view = Read();
  ASSERT_EQ(view.groups.size(), 1);
  EXPECT_EQ(view.groups[0].name, "world");
  const CallView* open = view.groups[0].Open();
  ASSERT_NE(open, nullptr);
  EXPECT_EQ(open->kind, CallKind::kAllReduce);
  EXPECT_EQ(open->number, 2);
  EXPECT_EQ(open->collective, 2);
  EXPECT_EQ(open->bytes, 40);
  EXPECT_LT(open->seconds, 0);
  second.Begun(Tracer::Now());
  view = Read();
  EXPECT_GE(view.groups[0].Open()->seconds, 0);
  second.Done();
  view = Read();
  EXPECT_EQ(view.groups[0].Open()->kind, CallKind::kBroadcast);
}

TEST_F(RankViewTest, ManyCallsThatWaitDoNotHideTheOneThatIsDriven) {
  std::vector<CallMark> marks;
  const auto add = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const auto n = static_cast<int64_t>(marks.size()) + 1;
      marks.push_back(
          world_.Collective(CallKind::kAllReduce, DType::kF32, 4 * n, n));
    }
  };
  add(1);
  marks[0].Begun(Tracer::Now());
  add(99);
  for (const int64_t number : {1, 2, 60, 99, 100}) {
    if (number > 1) marks[number - 2].Done();
    marks[number - 1].Begun(Tracer::Now());
    const RankView view = Read();
    const CallView* open = view.groups[0].Open();
    ASSERT_NE(open, nullptr) << number;
    EXPECT_EQ(open->number, number);
    EXPECT_EQ(open->collective, number);
    EXPECT_EQ(open->elements, number);
    EXPECT_GE(open->seconds, 0);
    const int64_t begun =
        std::count_if(view.groups[0].last.begin(), view.groups[0].last.end(),
                      [](const CallView& call) { return call.seconds >= 0; });
    EXPECT_EQ(begun, number == 100 ? 2 : 1) << number;
    marks[number - 1].Done();
  }
  const std::vector<GroupActivity::Side> sides = {{2, true}, {1, false}};
  world_.Exchange(8, sides).Begun(Tracer::Now());
  add(40);
  const RankView view = Read();
  const CallView* open = view.groups[0].Open();
  ASSERT_NE(open, nullptr);
  EXPECT_EQ(open->kind, CallKind::kExchange);
  ASSERT_EQ(open->peers.size(), 2);
  EXPECT_EQ(open->peers[0].peer, 2);
  EXPECT_EQ(open->peers[0].sends, 1);
  EXPECT_EQ(open->peers[1].receives, 1);
}

TEST_F(RankViewTest, EveryMoveChangesTheFingerprint) {
  uint64_t before = Fingerprint(activity_->table());
  const auto moved = [&] {
    const uint64_t now = Fingerprint(activity_->table());
    return now != std::exchange(before, now);
  };
  EXPECT_FALSE(moved());
  const CallMark call = world_.Collective(CallKind::kBarrier, DType::kU8, 0, 0);
  EXPECT_TRUE(moved());
  call.Begun(1);
  EXPECT_TRUE(moved());
  call.Done();
  EXPECT_TRUE(moved());
  activity_->BeginStep(4);
  EXPECT_TRUE(moved());
  activity_->BeginAction({.letter = 'F', .micro_batch = 1});
  EXPECT_TRUE(moved());
  activity_->EndStep(4);
  EXPECT_TRUE(moved());
  EXPECT_FALSE(moved());
}

TEST_F(RankViewTest, JsonSaysTheSame) {
  activity_->BeginStep(12);
  activity_->BeginAction({.letter = 'B', .chunk = 1, .micro_batch = 7});
  for (int i = 0; i < 5; ++i) {
    world_.Collective(CallKind::kAllReduce, DType::kBF16, 20, 10).Done();
  }
  world_.Exchange(64, {{.peer = 2, .send = true}, {.peer = 0, .send = false}})
      .Begun(Tracer::Now());
  RankView view = Read();
  view.host = "node7";
  view.standing = Standing::kStopped;
  view.silent_seconds = 2.5;
  view.stack = "frame";
  const nlohmann::json json = ToJson(view);
  EISBACH_ASSERT_OK_AND_ASSIGN(const RankView again, FromJson(json));
  EXPECT_EQ(ToJson(again), json);
  EXPECT_EQ(again.groups[0].last.size(), 3);
  EXPECT_EQ(again.groups[0].last.back().peers.size(), 2);
  EXPECT_EQ(again.action.micro_batch, 7);
}

TEST_F(RankViewTest, WhatTellsOfNoRankIsRefused) {
  const nlohmann::json good = ToJson(Read());
  for (const char* name : {"rank", "host", "phase", "standing", "groups"}) {
    nlohmann::json bad = good;
    bad[name] = 1.5;
    EXPECT_THAT(FromJson(bad),
                test::StatusIs(absl::StatusCode::kInvalidArgument, "no rank"))
        << name;
  }
  EXPECT_FALSE(FromJson(nlohmann::json::array()).ok());
}

}  // namespace
}  // namespace eisbach::watch::rank_view_test
