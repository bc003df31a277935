#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "cpp/parallel/pipeline/schedules/published_orders.h"
#include "parallel/pipeline/dependencies.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::parallel::orders_test {
namespace {

// The order of a stage in the words of the tables.
std::string Order(const Schedule& schedule, int stage) {
  std::vector<std::string> words;
  for (const Action& action : schedule.stages[stage]) {
    if (action.microbatch < 0) continue;  // an exchange or a reduction
    words.push_back(absl::StrCat(PartAt(schedule.shape, {stage, action.chunk}),
                                 std::string(1, Letter(action.kind)),
                                 action.microbatch));
  }
  return absl::StrJoin(words, " ");
}

TEST(OrdersTest, AreThoseOfOthers) {
  for (const PublishedOrder& published : PublishedOrders()) {
    const auto schedule =
        MakeSchedule(published.name, published.stages, published.chunks,
                     published.microbatches);
    ASSERT_TRUE(schedule.ok()) << schedule.status();
    const std::vector<absl::string_view> lines =
        absl::StrSplit(published.orders, ';', absl::SkipWhitespace());
    ASSERT_EQ(lines.size(), static_cast<size_t>(published.stages));
    for (int stage = 0; stage < published.stages; ++stage) {
      const std::vector<absl::string_view> words = absl::StrSplit(
          lines[stage], absl::ByAnyChar(" \n"), absl::SkipEmpty());
      EXPECT_EQ(Order(*schedule, stage), absl::StrJoin(words, " "))
          << published.name << ", " << published.chunks << " chunks, "
          << published.microbatches << " micro-batches, stage " << stage;
    }
  }
}

}  // namespace
}  // namespace eisbach::parallel::orders_test
