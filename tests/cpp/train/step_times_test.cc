// A rank that is slow in a part of its steps is named, on every layout.
#include "train/step_times.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "support/op_testing.h"
#include "support/toy.h"

namespace eisbach::train::step_times_test {
namespace {

using test::Layout;

constexpr int kSteps = 8;  // that a rank must be slow for

struct Seen {
  std::vector<std::string> news;
  std::vector<watch::Straggler> worst;  // after each step in which there is one
};

// What rank 0 is told in `steps` steps, of which rank `slow` takes `much`
// longer for `part` in those after the `after`-th: or as long as a step of
// before took, on a machine or under a sanitizer that makes them slow.
absl::StatusOr<Seen> Train(const Layout& layout, int steps, int slow,
                           StepPart part, int after, absl::Duration much) {
  Seen seen;
  EngineConfig config = test::ToyConfig("gpt");
  config.model.layers = 2;
  config.global_batch = 4;  // quick steps, also on a busy machine
  EISBACH_RETURN_IF_ERROR(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(
            world, layout, config, [&](Engine& engine) -> absl::Status {
              EISBACH_RETURN_IF_ERROR(engine.WatchStragglers(kSteps));
              absl::Duration longer = much;
              for (int step = 1; step <= steps; ++step) {
                if (world.rank() == slow && step > after) {
                  const StepClock::Scope scope(world.device().step_clock(),
                                               part);
                  absl::SleepFor(longer);
                }
                const absl::Time began = absl::Now();
                EISBACH_ASSIGN_OR_RETURN(StepResult result,
                                         test::ToyStep(engine));
                if (step > 1) longer = std::max(longer, absl::Now() - began);
                EXPECT_TRUE(world.rank() == 0 || result.stragglers.empty());
                if (world.rank() != 0) continue;
                if (!result.stragglers.empty()) {
                  seen.worst.push_back(result.stragglers[0]);
                }
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
constexpr absl::Duration kMuch = absl::Milliseconds(100);

struct Case {
  Layout layout;
  int slow;
  StepPart part;
  bool by_peers;
};

// On a busy machine others may be late as well; the slow one is in any case.
void ExpectNamed(const Case& c, const Seen& seen) {
  SCOPED_TRACE(c.layout.ToString());
  const auto named = std::find_if(
      seen.worst.begin(), seen.worst.end(), [&](const watch::Straggler& one) {
        return one.rank == c.slow && one.part == c.part;
      });
  ASSERT_NE(named, seen.worst.end());
  EXPECT_EQ(named->by_peers, c.by_peers);
  EXPECT_GE(named->excess, 0.25 * absl::ToDoubleSeconds(kMuch));
  const std::string line = absl::StrCat("rank ", c.slow, " (");
  EXPECT_TRUE(std::any_of(
      seen.news.begin(), seen.news.end(), [&](const std::string& news) {
        return absl::StartsWith(news, line) &&
               absl::StrContains(news, "is slow since step ");
      }));
}

TEST(StepTimes, NameTheRankAndThePart) {
  for (const Case& c : {Case{{2, 1, 1}, 1, StepPart::kData, true},
                        Case{{1, 2, 1}, 0, StepPart::kBackward, true},
                        Case{{2, 1, 2}, 2, StepPart::kForward, true}}) {
    ExpectNamed(c, test::Value(Train(c.layout, 2 * kSteps, c.slow, c.part,
                                     /*after=*/0, kMuch)));
  }
}

// Each stage is one rank, which is measured by its earlier steps.
TEST(StepTimes, NameARankThatWorksAlone) {
  const Case c{{1, 1, 2}, 1, StepPart::kOptimizer, false};
  ExpectNamed(c, test::Value(Train(c.layout, 4 * kSteps, c.slow, c.part,
                                   /*after=*/2 * kSteps, kMuch)));
}

TEST(StepTimes, AreOfNoUseToARankAlone) {
  const Seen seen = test::Value(
      Train({1, 1, 1}, kSteps, 0, StepPart::kData, 0, absl::Milliseconds(1)));
  EXPECT_TRUE(seen.worst.empty());
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
}  // namespace eisbach::train::step_times_test
