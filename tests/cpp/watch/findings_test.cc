#include "watch/findings.h"

#include <gtest/gtest.h>

#include <vector>

namespace eisbach::watch::findings_test {
namespace {

using comm::CallKind;
using comm::Phase;

constexpr double kHang = 2;
constexpr uint64_t kGroup = 7;

CallView AllReduce(int64_t number, int64_t elements = 100) {
  return {.number = number,
          .collective = number,
          .bytes = 4 * elements,
          .elements = elements,
          .seconds = 3,
          .kind = CallKind::kAllReduce,
          .dtype = DType::kF32};
}

// Ranks of one group, all of which wait in call 5 since three seconds.
class FindingsTest : public testing::Test {
 protected:
  explicit FindingsTest(int size = 4) {
    for (int rank = 0; rank < size; ++rank) {
      ranks_.push_back({.rank = rank,
                        .host = "h",
                        .pid = 100 + rank,
                        .standing = Standing::kRuns,
                        .phase = Phase::kStep,
                        .silent_seconds = 3,
                        .step = 9,
                        .step_done = 8});
      ranks_.back().groups.push_back(
          {.id = kGroup, .name = "data", .rank = rank, .size = size});
      InCall(rank, AllReduce(5));
    }
  }

  GroupView& group(int rank) { return ranks_[rank].groups[0]; }
  void InCall(int rank, CallView call) {
    group(rank).calls = call.number;
    group(rank).begun = call.number;
    group(rank).done = call.number - 1;
    if (call.collective != 0) group(rank).collectives = call.collective;
    group(rank).last = {std::move(call)};
  }
  // Has done call 4 and is in none.
  void Outside(int rank) {
    InCall(rank, AllReduce(4));
    group(rank).done = 4;
  }
  Findings Find() { return watch::Find(ranks_, {kHang}); }

  std::vector<RankView> ranks_;
};

TEST_F(FindingsTest, NamesARankThatIsStoppedOutsideOfTheCall) {
  Outside(2);
  ranks_[2].standing = Standing::kStopped;
  const Findings found = Find();
  EXPECT_TRUE(found.hangs);
  ASSERT_EQ(found.culprits.size(), 1);
  EXPECT_EQ(found.culprits[0].rank, 2);
  EXPECT_EQ(found.culprits[0].cause, Cause::kStopped);
  EXPECT_EQ(found.culprits[0].waiting_ranks, 3);
  EXPECT_EQ(found.culprits[0].group, "data");
  EXPECT_EQ(found.culprits[0].call.number, 5);
}

TEST_F(FindingsTest, NamesARankThatIsStoppedWithinTheCall) {
  for (const Standing standing :
       {Standing::kStopped, Standing::kFrozen, Standing::kGone}) {
    ranks_[1].standing = standing;
    const Findings found = Find();
    EXPECT_TRUE(found.hangs);
    ASSERT_EQ(found.culprits.size(), 1);
    EXPECT_EQ(found.culprits[0].rank, 1);
  }
}

TEST_F(FindingsTest, NamesARankThatRunsElsewhere) {
  Outside(3);
  const Findings found = Find();
  EXPECT_TRUE(found.hangs);
  ASSERT_EQ(found.culprits.size(), 1);
  EXPECT_EQ(found.culprits[0].rank, 3);
  EXPECT_EQ(found.culprits[0].cause, Cause::kElsewhere);
}

TEST_F(FindingsTest, NamesARankThatHasQueuedTheCallAndDoesNotComeToIt) {
  CallView queued = AllReduce(5);
  queued.seconds = -1;
  InCall(2, queued);
  const Findings found = Find();
  EXPECT_TRUE(found.hangs);
  ASSERT_EQ(found.culprits.size(), 1);
  EXPECT_EQ(found.culprits[0].rank, 2);
  EXPECT_EQ(found.culprits[0].cause, Cause::kElsewhere);
}

TEST_F(FindingsTest, ARankThatWorksIsWaitedFor) {
  Outside(3);
  ranks_[3].silent_seconds = 1;
  EXPECT_FALSE(Find().hangs);
}

TEST_F(FindingsTest, LongPhasesHaveMorePatience) {
  Outside(3);
  for (const Phase phase : {Phase::kStart, Phase::kLoad, Phase::kValidation,
                            Phase::kSave, Phase::kExport, Phase::kEnd}) {
    ranks_[3].phase = phase;
    ranks_[3].silent_seconds = 599;
    EXPECT_FALSE(Find().hangs) << Name(phase);
    ranks_[3].silent_seconds = 601;
    EXPECT_TRUE(Find().hangs) << Name(phase);
  }
  ranks_[3].phase = Phase::kPrepare;
  ranks_[3].silent_seconds = 1e6;
  EXPECT_FALSE(Find().hangs);
  // A rank that is stopped has none.
  ranks_[3].standing = Standing::kStopped;
  EXPECT_TRUE(Find().hangs);
}

TEST_F(FindingsTest, TheFirstStepHasMorePatience) {
  Outside(3);
  ranks_[3].step_done = 0;
  EXPECT_FALSE(Find().hangs);
  ranks_[3].silent_seconds = 601;
  EXPECT_TRUE(Find().hangs);
}

TEST_F(FindingsTest, NamesWhoeverIsAtTheEndOfAChain) {
  // 0 waits for 1 in a group of theirs; 1, 2 and 3 do not move, and 3 is late.
  Outside(3);
  Outside(0);
  for (int rank : {0, 1}) {
    ranks_[rank].groups.push_back({.id = 8,
                                   .name = "tensor",
                                   .rank = rank,
                                   .size = 2,
                                   .calls = rank == 0,
                                   .collectives = rank == 0,
                                   .last = {AllReduce(1)}});
  }
  const Findings found = Find();
  EXPECT_TRUE(found.hangs);
  ASSERT_EQ(found.culprits.size(), 1);
  EXPECT_EQ(found.culprits[0].rank, 3);
}

TEST_F(FindingsTest, NamesBothSidesOfAMismatch) {
  CallView other = AllReduce(5);
  other.kind = CallKind::kBarrier;
  InCall(2, other);
  Findings found = Find();
  EXPECT_TRUE(found.hangs);
  ASSERT_EQ(found.culprits.size(), 1);
  EXPECT_EQ(found.culprits[0].rank, 2);
  EXPECT_EQ(found.culprits[0].cause, Cause::kMismatch);
  EXPECT_EQ(found.culprits[0].call.kind, CallKind::kAllReduce);
  EXPECT_EQ(found.culprits[0].instead.kind, CallKind::kBarrier);

  InCall(2, AllReduce(5, /*elements=*/99));
  found = Find();
  ASSERT_EQ(found.culprits.size(), 1);
  EXPECT_EQ(found.culprits[0].rank, 2);
}

TEST_F(FindingsTest, NamesTheOneThatTheOthersWaitForInACircle) {
  // 1 has left the call out and waits for all in another group.
  Outside(1);
  for (RankView& view : ranks_) {
    view.groups.push_back({.id = 9,
                           .name = "world",
                           .rank = view.rank,
                           .size = 4,
                           .calls = view.rank == 1,
                           .collectives = view.rank == 1,
                           .last = {AllReduce(1)}});
  }
  const Findings found = Find();
  EXPECT_TRUE(found.hangs);
  ASSERT_FALSE(found.culprits.empty());
  EXPECT_EQ(found.culprits[0].rank, 1);
  EXPECT_EQ(found.culprits[0].waiting_ranks, 3);
  EXPECT_EQ(found.culprits[0].instead_group, "world");
}

TEST_F(FindingsTest, WhoWaitsBehindACallThatDoesNotMoveIsInNoCircle) {
  // 0 and 1 have come to a transfer that stands still; 2 and 3 wait for them.
  const Patience checked{.hang_seconds = 60, .circle_seconds = 2};
  for (int rank : {0, 1}) {
    Outside(rank);
    ranks_[rank].groups.push_back({.id = 9,
                                   .name = "tensor",
                                   .rank = rank,
                                   .size = 2,
                                   .calls = 1,
                                   .collectives = 1,
                                   .begun = 1,
                                   .last = {AllReduce(1)}});
  }
  EXPECT_FALSE(watch::Find(ranks_, checked).hangs);
  const Findings found = Find();
  EXPECT_TRUE(found.hangs);
  ASSERT_EQ(found.culprits.size(), 2);
  for (const Culprit& culprit : found.culprits) {
    EXPECT_EQ(culprit.cause, Cause::kTransport);
    EXPECT_EQ(culprit.group, "tensor");
  }
}

TEST_F(FindingsTest, DoesNotWaitLongForACircleWhereCallsAreChecked) {
  InCall(2, AllReduce(5, /*elements=*/99));
  const Patience checked{.hang_seconds = 60, .circle_seconds = 2};
  EXPECT_FALSE(watch::Find(ranks_, {.hang_seconds = 60}).hangs);
  const Findings found = watch::Find(ranks_, checked);
  EXPECT_TRUE(found.hangs);
  EXPECT_TRUE(found.circle);
  ASSERT_FALSE(found.culprits.empty());
  EXPECT_EQ(found.culprits[0].cause, Cause::kMismatch);
  // All but one may wait for less.
  ranks_[1].silent_seconds = 1;
  EXPECT_FALSE(watch::Find(ranks_, checked).hangs);
  ranks_[1].silent_seconds = 3;
  // Calls that do not differ may take their time.
  InCall(2, AllReduce(5));
  EXPECT_FALSE(watch::Find(ranks_, checked).hangs);
}

TEST_F(FindingsTest, AllAreInTheCallAndItDoesNotMove) {
  const Findings found = Find();
  EXPECT_TRUE(found.hangs);
  ASSERT_FALSE(found.culprits.empty());
  EXPECT_EQ(found.culprits[0].cause, Cause::kTransport);
  ranks_[0].silent_seconds = 0.1;
  EXPECT_FALSE(Find().hangs);
}

TEST_F(FindingsTest, NamesTheRanksOfAHostThatGivesNoAnswer) {
  for (int rank : {2, 3}) {
    ranks_[rank] = {.rank = rank, .host = "other"};
  }
  const Findings found = Find();
  EXPECT_TRUE(found.hangs);
  ASSERT_EQ(found.culprits.size(), 2);
  EXPECT_EQ(found.culprits[0].rank, 2);
  EXPECT_EQ(found.culprits[0].cause, Cause::kNoAnswer);
  EXPECT_EQ(found.culprits[1].rank, 3);
}

TEST_F(FindingsTest, AtTheEndAllWaitForAll) {
  for (int rank : {0, 1, 3}) {
    Outside(rank);
    ranks_[rank].phase = Phase::kEnd;
  }
  Outside(2);
  const Findings found = Find();
  EXPECT_TRUE(found.hangs);
  ASSERT_EQ(found.culprits.size(), 1);
  EXPECT_EQ(found.culprits[0].rank, 2);
  EXPECT_EQ(found.culprits[0].waiting_ranks, 3);
}

// An exchange between neighbours: 0 sends to 1, 1 to 2.
TEST_F(FindingsTest, AnExchangeWaitsForThePeersThatHaveNotListedIt) {
  const auto exchange = [](std::vector<PeerView> peers) {
    return CallView{.number = 6,
                    .seconds = 3,
                    .kind = CallKind::kExchange,
                    .peers = std::move(peers)};
  };
  for (int rank = 0; rank < 4; ++rank) Outside(rank);
  InCall(0, exchange({{.peer = 1, .sends = 3}}));
  group(0).peers = {{.peer = 1, .sends = 3}};
  // 1 has listed what 0 sends, and waits for 2.
  InCall(1, exchange({{.peer = 0, .receives = 3}, {.peer = 2, .sends = 8}}));
  group(1).peers = {{.peer = 0, .receives = 3}, {.peer = 2, .sends = 8}};
  group(2).peers = {{.peer = 1, .receives = 7}};
  ranks_[3].silent_seconds = 0;
  EXPECT_FALSE(Find().hangs);  // 3 works
  ranks_[3].phase = Phase::kEnd;
  ranks_[3].silent_seconds = 0;
  const Findings found = Find();
  ASSERT_FALSE(found.culprits.empty());
  EXPECT_EQ(found.culprits[0].rank, 2);
  EXPECT_EQ(found.culprits[0].call.kind, CallKind::kExchange);
  // 2 has listed so many that 1 is not among them.
  group(2).peers.clear();
  for (int i = 0; i < comm::GroupEntry::kPeers; ++i) {
    group(2).peers.push_back({.peer = 100 + i, .sends = 1});
  }
  for (const Culprit& culprit : Find().culprits) {
    EXPECT_NE(culprit.cause, Cause::kMismatch);
    EXPECT_EQ(culprit.call.kind, CallKind::kNone) << culprit.rank;
  }
}

}  // namespace
}  // namespace eisbach::watch::findings_test
