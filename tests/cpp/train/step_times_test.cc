// A rank that is slow in a part of its steps is named, on every layout.
#include "train/step_times.h"

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "support/op_testing.h"
#include "support/toy.h"

namespace eisbach::train {
namespace {

using test::Layout;

constexpr int kSteps = 8;  // that a rank must be slow for

struct Seen {
  std::vector<std::string> news;
  std::vector<watch::Straggler> last;
};

// What rank 0 is told in `steps` steps, of which rank `slow` takes some
// `milliseconds` longer for `part` in those after the `after`-th.
absl::StatusOr<Seen> Train(const Layout& layout, int steps, int slow,
                           StepPart part, int after, int milliseconds) {
  Seen seen;
  EISBACH_RETURN_IF_ERROR(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(
            world, layout, test::ToyConfig("gpt"),
            [&](Engine& engine) -> absl::Status {
              EISBACH_RETURN_IF_ERROR(engine.WatchStragglers(kSteps));
              for (int step = 1; step <= steps; ++step) {
                if (world.rank() == slow && step > after) {
                  const StepClock::Scope scope(world.device().step_clock(),
                                               part);
                  absl::SleepFor(absl::Milliseconds(milliseconds));
                }
                EISBACH_ASSIGN_OR_RETURN(StepResult result,
                                         test::ToyStep(engine));
                EXPECT_TRUE(world.rank() == 0 || result.stragglers.empty());
                if (world.rank() != 0) continue;
                seen.last = result.stragglers;
                for (std::string& line : result.straggler_news) {
                  seen.news.push_back(std::move(line));
                }
              }
              return absl::OkStatus();
            });
      }));
  return seen;
}

// Much longer than a step takes, also on a busy machine.
constexpr int kMuch = 100;

TEST(StepTimes, NameTheRankAndThePart) {
  struct Case {
    Layout layout;
    int slow;
    StepPart part;
  };
  for (const Case& c : {Case{{2, 1, 1}, 1, StepPart::kData},
                        Case{{1, 2, 1}, 0, StepPart::kBackward},
                        Case{{2, 1, 2}, 2, StepPart::kForward}}) {
    SCOPED_TRACE(c.layout.ToString());
    const Seen seen = test::Value(
        Train(c.layout, kSteps, c.slow, c.part, /*after=*/0, kMuch));
    ASSERT_FALSE(seen.last.empty());
    EXPECT_EQ(seen.last[0].rank, c.slow);
    EXPECT_EQ(seen.last[0].part, c.part);
    EXPECT_TRUE(seen.last[0].by_peers);
    EXPECT_GE(seen.last[0].excess, 0.5 * kMuch / 1000);
    ASSERT_FALSE(seen.news.empty());
    EXPECT_TRUE(absl::StrContains(seen.news[0], "is slow since step "))
        << seen.news[0];
  }
}

// Each stage is one rank, which is measured by its earlier steps.
TEST(StepTimes, NameARankThatWorksAlone) {
  const Seen seen = test::Value(
      Train({1, 1, 2}, 3 * kSteps, 1, StepPart::kOptimizer, 2 * kSteps, kMuch));
  ASSERT_FALSE(seen.last.empty());
  EXPECT_EQ(seen.last[0].rank, 1);
  EXPECT_EQ(seen.last[0].part, StepPart::kOptimizer);
  EXPECT_FALSE(seen.last[0].by_peers);
}

TEST(StepTimes, AreOfNoUseToARankAlone) {
  const Seen seen =
      test::Value(Train({1, 1, 1}, kSteps, 0, StepPart::kData, 0, 1));
  EXPECT_TRUE(seen.last.empty());
}

TEST(StepTimes, NeedAtLeastOneStep) {
  const absl::Status status =
      comm::RunLocalRanks(2, DeviceType::kCpu, 1, [](comm::World& world) {
        return test::WithEngine(
            world, {2, 1, 1}, test::ToyConfig("gpt"),
            [](Engine& engine) { return engine.WatchStragglers(0); });
      });
  EXPECT_TRUE(absl::StrContains(status.message(), "fault.straggler_steps"))
      << status;
}

}  // namespace
}  // namespace eisbach::train
