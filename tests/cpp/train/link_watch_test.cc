// A link that becomes slow while a job trains is named, and forgiven.
#include "train/link_watch.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "support/op_testing.h"
#include "support/slow_link.h"
#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::train::link_watch_test {
namespace {

using test::Layout;

constexpr int kSteps = 10;  // that it must be slow for
constexpr int kSlowFrom = 26;
constexpr int kSlowUntil = 50;
constexpr int kLast = 75;
// Where steps are longer, on a busy machine or under a sanitizer, a slow link
// is slower by as much.
constexpr absl::Duration kQuickStep = absl::Milliseconds(100);

struct Seen {
  std::vector<std::string> news;
  std::vector<std::optional<SlowLink>> links;  // after each step
};

absl::StatusOr<Seen> Train(const Layout& layout, test::SlowLink& link) {
  Seen seen;
  EngineConfig config = test::ToyConfig("gpt");
  config.model.layers = 2;
  config.global_batch = 6;
  EISBACH_RETURN_IF_ERROR(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& inner) {
        test::SlowLinkWorld world(inner, link);
        return test::WithEngine(
            world, layout, config, [&](Engine& engine) -> absl::Status {
              EISBACH_RETURN_IF_ERROR(engine.WatchStragglers(kSteps));
              absl::Time second;
              for (int step = 1; step <= kLast; ++step) {
                if (world.rank() == 0) {
                  if (step == 2) second = absl::Now();
                  // Others read it when the link is slow, and not before.
                  if (step == kSlowFrom) {
                    const absl::Duration mean =
                        (absl::Now() - second) / (kSlowFrom - 2);
                    link.message_seconds *=
                        std::max(1.0, absl::FDivDuration(mean, kQuickStep));
                  }
                  link.slow = step >= kSlowFrom && step <= kSlowUntil;
                }
                EISBACH_ASSIGN_OR_RETURN(StepResult result,
                                         test::ToyStep(engine));
                EXPECT_TRUE(world.rank() == 0 || !result.slow_link);
                if (world.rank() != 0) continue;
                seen.links.push_back(result.slow_link);
                for (std::string& line : result.straggler_news) {
                  seen.news.push_back(std::move(line));
                }
              }
              return absl::OkStatus();
            });
      }));
  return seen;
}

struct Case {
  Layout layout;
  int a, b;
  std::string axes;
  double message_seconds;  // of which a step has few along data, many else
};

TEST(LinkWatch, NamesTheLinkAndForgivesIt) {
  for (const Case& c : {Case{{3, 1, 1}, 1, 2, "data", 0.04},
                        Case{{1, 1, 2}, 0, 1, "pipeline", 0.01},
                        Case{{1, 2, 2}, 1, 3, "pipeline", 0.01}}) {
    SCOPED_TRACE(c.layout.ToString());
    test::SlowLink link{.a = c.a,
                        .b = c.b,
                        .message_seconds = c.message_seconds,
                        .gigabytes = 0.05};
    const Seen seen = test::Value(Train(c.layout, link));
    // What was told, in that order; a busy machine may have more to tell.
    auto line = seen.news.begin();
    for (const std::string& begin :
         {absl::StrCat("the link between rank ", c.a, " (*) and rank ", c.b,
                       " (*), of ", c.axes, ", is slow since step "),
          absl::StrCat("the link between rank ", c.a, " (*) and rank ", c.b,
                       " (*) no longer holds steps up since step ")}) {
      const std::vector<std::string> words = absl::StrSplit(begin, '*');
      line = std::find_if(line, seen.news.end(), [&](const std::string& news) {
        return std::all_of(words.begin(), words.end(), [&](const auto& word) {
          return absl::StrContains(news, word);
        });
      });
      ASSERT_NE(line, seen.news.end()) << begin << "\n"
                                       << absl::StrJoin(seen.news, "\n");
    }
    const auto named = std::find_if(
        seen.links.begin(), seen.links.end(),
        [&](const auto& one) { return one && one->a == c.a && one->b == c.b; });
    ASSERT_NE(named, seen.links.end());
    EXPECT_GE((*named)->excess, 0.04);
    // After how many steps exactly is a matter of values
    // (watch/slow_network_test.cc): here other programs make steps slow, too.
    EXPECT_GE(named - seen.links.begin() + 1, kSlowFrom);
    EXPECT_LE(named - seen.links.begin() + 1, kSlowUntil);
    EXPECT_NE(std::find(named, seen.links.end(), std::nullopt),
              seen.links.end());
  }
}

// What is told of four ranks on as many hosts, one of whose links is slow while
// it is measured for the first time, or always.
std::vector<std::string> MeasureAtTheStart(bool always) {
  std::vector<std::string> news;
  test::SlowLink link{
      .a = 1, .b = 2, .message_seconds = 0.05, .gigabytes = 0.01};
  link.slow = true;
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      4, DeviceType::kCpu, 1, [&](comm::World& inner) -> absl::Status {
        test::SlowLinkWorld world(inner, link);
        EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh,
                                 parallel::MakeMesh(4, {}));
        EISBACH_ASSIGN_OR_RETURN(auto context,
                                 parallel::ParallelContext::Make(world, mesh));
        LinkWatch watch(kSteps, {"h0", "h1", "h2", "h3"}, *context);
        EISBACH_RETURN_IF_ERROR(watch.Measure());
        EXPECT_TRUE(world.rank() != 0 || watch.wants_measurement());
        EXPECT_TRUE(watch.TakeNews().empty());
        if (always) {
          EISBACH_RETURN_IF_ERROR(watch.Measure());
        } else if (world.rank() == 0) {
          // Of four links, and not by the clock: others may use this machine.
          watch.Take(
              std::vector<LinkReading>(4, {.gigabytes = 1e3, .seconds = 1e-6}));
        }
        EXPECT_FALSE(watch.wants_measurement());
        if (world.rank() == 0) news = watch.TakeNews();
        return absl::OkStatus();
      }));
  return news;
}

// On a busy machine others may be slow as well.
TEST(LinkWatch, MakesSureOfWhatIsSlowFromTheStart) {
  const auto tells = [](const std::vector<std::string>& news) {
    return std::any_of(news.begin(), news.end(), [](const std::string& line) {
      return absl::StartsWith(
          line,
          "the link between rank 1 (h1) and rank 2 (h2), of data, is slower "
          "than its like: ");
    });
  };
  EXPECT_TRUE(tells(MeasureAtTheStart(true)));
  EXPECT_FALSE(tells(MeasureAtTheStart(false)));
}

}  // namespace
}  // namespace eisbach::train::link_watch_test
