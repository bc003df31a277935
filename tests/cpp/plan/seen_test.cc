#include "plan/seen.h"

#include <gtest/gtest.h>

#include "cpp/plan/plan_testing.h"
#include "support/status_testing.h"

namespace eisbach::plan::seen_test {
namespace {

Layout With(int data, int zero = 1) { return {.data = data, .zero = zero}; }

TEST(SeenTest, WhatIsTooLargeIsSoOnFewerRanks) {
  TooLarge large;
  large.Add(With(4));
  large.Add(With(2));
  EXPECT_TRUE(large.Covers(With(4)));
  EXPECT_TRUE(large.Covers(With(1)));
  EXPECT_FALSE(large.Covers(With(8)));
  EXPECT_FALSE(large.Covers(With(4, 2)));
  Layout some = With(4);
  some.recompute = nn::Recompute::kBlock;
  some.recompute_layers = 2;
  large.Add(some);
  EXPECT_TRUE(large.Covers(some));
  some.recompute_layers = 3;
  EXPECT_FALSE(large.Covers(some));
}

TEST(SeenTest, WhatFitsAsItIsNeedsNoMoreRanks) {
  Settled settled;
  settled.Add(With(8));
  settled.Add(With(4));
  EXPECT_TRUE(settled.Covers(With(8)));
  EXPECT_TRUE(settled.Covers(With(5, 2)));
  EXPECT_FALSE(settled.Covers(With(4)));
  Layout other = With(8);
  other.tensor = 2;
  EXPECT_FALSE(settled.Covers(other));
}

TEST(SeenTest, WhatExchangesMoreThanASlowOneIsSlow) {
  TooSlow slow;
  slow.Add(With(4, 2), 1.5);
  EXPECT_TRUE(slow.Covers(With(4, 2), 1.5));
  EXPECT_TRUE(slow.Covers(With(8, 3), 1.6));
  EXPECT_FALSE(slow.Covers(With(2, 2), 1.6));
  EXPECT_FALSE(slow.Covers(With(4, 1), 1.6));
  EXPECT_FALSE(slow.Covers(With(4, 2), 1.4));
  Layout other = With(8, 3);
  other.micro_batch = 2;
  EXPECT_FALSE(slow.Covers(other, 1.6));
}

TEST(SeenTest, OfLateLayoutsTheQuickestIsOffered) {
  TooLate late;
  late.Add(With(4), {.seconds = 7.2});
  late.Add(With(8), {.seconds = 3.6});
  EXPECT_EQ(late.seconds(), 3.6);
  EXPECT_THAT(
      late.Refusal({.run = {.steps = 1000}, .most_hours = 0.5}, RoundMachine()),
      test::StatusIs(absl::StatusCode::kInvalidArgument,
                     "deadline=0.5h: the quickest layout that was found takes "
                     "1.00 h, on 8 devices; nearest that works: "
                     "deadline=1.00h"));
}

TEST(SeenTest, WhatNeverEndsHasNoNearestDeadline) {
  TooLate late;
  late.Add(With(8), {.seconds = 3.6});
  Hardware machine = RoundMachine();
  machine.hours_between_failures = 1e-300;
  const Ranking ranking{.run = {.steps = 1000}, .most_hours = 0.5};
  EXPECT_THAT(
      late.Refusal(ranking, machine),
      test::StatusIs(absl::StatusCode::kInvalidArgument,
                     "deadline=0.5h: the run never ends: a failure every "
                     "4.5e-298 s, after one 360 s until training goes on, and "
                     "1 s for a checkpoint; nearest that works: no deadline"));
}

}  // namespace
}  // namespace eisbach::plan::seen_test
