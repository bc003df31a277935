#include "train/slow_links.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace eisbach::train::slow_links_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<std::string> kHosts = {"n0", "n1", "n2", "n3"};
constexpr watch::NetworkDelay kDelay = {
    .since = 120, .excess = 0.4, .part = StepPart::kReduction};

LinkReading Link(int a, int b, double gigabytes, double milliseconds) {
  return {.a = a,
          .b = b,
          .axes = {Axis::kData},
          .gigabytes = gigabytes,
          .seconds = 1e-3 * milliseconds};
}

const std::vector<LinkReading> kBefore = {
    Link(0, 1, 0.9, 0.1), Link(2, 3, 0.9, 0.1), Link(1, 2, 0.9, 0.1),
    Link(0, 3, 0.9, 0.1)};

// What is told where one of them does something else now.
std::string ToldOf(size_t number, const LinkReading& reading) {
  std::vector<LinkReading> now = kBefore;
  now[number] = reading;
  return DelayText(kDelay, LinkChanges(kBefore, now), kHosts);
}

TEST(SlowLinks, ABytesRateIsNamed) {
  EXPECT_EQ(ToldOf(2, Link(1, 2, 0.05, 0.13)),
            "the link between rank 1 (n1) and rank 2 (n2), of data, is slow "
            "since step 120: 0.05 GB/s and 0.13 ms, where it had 0.9 GB/s and "
            "0.1 ms; ranks wait 0.4 s longer in each step, most in reducing "
            "gradients");
}

TEST(SlowLinks, AMessagesDelayIsNamed) {
  EXPECT_EQ(ToldOf(0, Link(0, 1, 0.8, 150)),
            "the link between rank 0 (n0) and rank 1 (n1), of data, is slow "
            "since step 120: 0.8 GB/s and 150 ms, where it had 0.9 GB/s and "
            "0.1 ms; ranks wait 0.4 s longer in each step, most in reducing "
            "gradients");
}

TEST(SlowLinks, TheWorstOfSeveralIsNamed) {
  std::vector<LinkReading> now = kBefore;
  now[1] = Link(2, 3, 0.2, 0.1);
  now[2] = Link(1, 2, 0.1, 0.1);
  const auto changes = LinkChanges(kBefore, now);
  EXPECT_EQ(changes[0].now.a, 1);
  EXPECT_EQ(DelayText(kDelay, changes, kHosts),
            "the link between rank 1 (n1) and rank 2 (n2), of data, is slow "
            "since step 120: 0.1 GB/s and 0.1 ms, where it had 0.9 GB/s and "
            "0.1 ms; 2 of 4 links are as slow, all with a rank on n2; ranks "
            "wait 0.4 s longer in each step, most in reducing gradients");
  // What is slow beside it, and not as slow, is something else.
  now[3] = Link(0, 3, 0.44, 0.1);
  EXPECT_THAT(DelayText(kDelay, LinkChanges(kBefore, now), kHosts),
              HasSubstr("; 2 of 4 links are as slow, all with"));
  // Those of other hosts, and those between two.
  now[3] = Link(0, 3, 0.2, 0.1);
  EXPECT_THAT(DelayText(kDelay, LinkChanges(kBefore, now), kHosts),
              HasSubstr("; 3 of 4 links are as slow; ranks wait"));
  EXPECT_THAT(DelayText(kDelay, LinkChanges(kBefore, now),
                        std::vector<std::string>{"n0", "n1", "n0", "n1"}),
              HasSubstr("; 3 of 4 links are as slow; ranks wait"));
}

// Half the rate is slow, and a little more is not; nor are messages that the
// scheduler has held up.
TEST(SlowLinks, WhereNoneIsTheWorstIsToldOf) {
  EXPECT_EQ(ToldOf(1, Link(2, 3, 0.5, 0.19)),
            "ranks wait 0.4 s longer in each step, most in reducing gradients, "
            "since step 120, and no link between neighbours is slow: the "
            "worst, between rank 2 (n2) and rank 3 (n3), has 0.5 GB/s and 0.19 "
            "ms, where it had 0.9 GB/s and 0.1 ms");
  std::vector<LinkReading> now = kBefore;
  now[1] = Link(2, 3, 0.45, 0.1);
  EXPECT_TRUE(LinkChanges(kBefore, now)[0].slow());
  // In shared memory: ten times as long, and nothing.
  const LinkChange shared{.now = Link(0, 1, 5, 0.05),
                          .before = Link(0, 1, 5, 0.005)};
  EXPECT_FALSE(shared.slow());
}

// What is slow between hosts, 1.8 of 17 GB/s, is not where two ranks of a host
// copy through its memory, unless copies stand still for long.
TEST(SlowLinks, OtherProgramsUseAHostsMemory) {
  LinkChange copies{.now = Link(0, 1, 1.8, 0.01),
                    .before = Link(0, 1, 17, 0.01)};
  EXPECT_TRUE(copies.slow());
  copies.now.in_memory = true;
  EXPECT_FALSE(copies.slow());
  copies.now.gigabytes = 0.05;
  EXPECT_TRUE(copies.slow());
}

TEST(SlowLinks, TheWorstIsToldOfAlsoWhereNothingCounts) {
  std::vector<LinkReading> now = kBefore;
  for (LinkReading& one : now) one.in_memory = true;
  now[2].gigabytes = 0.5;
  now[3].gigabytes = 0.4;
  EXPECT_THAT(
      DelayText(kDelay, LinkChanges(kBefore, now), kHosts),
      HasSubstr(
          "the worst, between rank 0 (n0) and rank 3 (n3), has 0.4 GB/s"));
}

TEST(SlowLinks, AnEndIsTold) {
  watch::NetworkDelay over = kDelay;
  over.over = 871;
  EXPECT_EQ(DelayOverText(over, LinkChanges(kBefore, kBefore), kHosts),
            "ranks no longer wait longer than usual since step 871");
  std::vector<LinkReading> now = kBefore;
  now[2] = Link(1, 2, 0.05, 0.1);
  EXPECT_EQ(DelayOverText(over, LinkChanges(kBefore, now), kHosts),
            "the link between rank 1 (n1) and rank 2 (n2) no longer holds "
            "steps up since step 871");
}

TEST(SlowLinks, TheBetterFiguresOfTwoMeasurementsCount) {
  const auto better =
      BetterReadings({Link(0, 1, 0.9, 0.3)}, {Link(0, 1, 0.2, 0.1)});
  ASSERT_EQ(better.size(), 1);
  EXPECT_EQ(better[0].gigabytes, 0.9);
  EXPECT_EQ(better[0].seconds, 1e-4);
  EXPECT_EQ(better[0].b, 1);
}

TEST(SlowLinks, FromTheStartAreMeasuredByTheirRing) {
  EXPECT_THAT(SlowFromTheStart(kBefore, kHosts), IsEmpty());
  std::vector<LinkReading> links = kBefore;
  links[2] = Link(1, 2, 0.05, 0.1);
  EXPECT_THAT(SlowFromTheStart(links, kHosts),
              ElementsAre("the link between rank 1 (n1) and rank 2 (n2), of "
                          "data, is slower than its like: 0.05 GB/s, where "
                          "the median is 0.9"));
  // Messages alone tell nothing there.
  links[3] = Link(0, 3, 0.9, 3);
  EXPECT_EQ(SlowFromTheStart(links, kHosts).size(), 1);
  // Of two nobody knows which it is, and inside a host they differ.
  EXPECT_THAT(SlowFromTheStart({links[1], links[2]}, kHosts), IsEmpty());
  EXPECT_THAT(SlowFromTheStart(links, std::vector<std::string>(4, "n0")),
              IsEmpty());
  // Another ring has its own measure.
  links[2].ring = 1;
  EXPECT_THAT(SlowFromTheStart(links, kHosts), IsEmpty());
}

}  // namespace
}  // namespace eisbach::train::slow_links_test
