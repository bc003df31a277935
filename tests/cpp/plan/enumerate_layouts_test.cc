#include "plan/enumerate_layouts.h"

#include <gtest/gtest.h>

#include <set>

#include "cpp/plan/plan_testing.h"

namespace eisbach::plan::enumerate_layouts_test {
namespace {

train::EngineConfig Config(int64_t batch) {
  train::EngineConfig config = test::ToyConfig("llama");
  config.model.context = 64;
  config.global_batch = batch;
  return config;
}

TEST(EnumerateLayoutsTest, DevicesAndBatchAreDivided) {
  const train::EngineConfig config = Config(32);
  std::set<std::string> schedules;
  std::set<int> tensors, chunks;
  for (const Layout& layout :
       EnumerateLayouts({config, RoundMachine(), 8, {}})) {
    EXPECT_LE(layout.devices(), 8);
    EXPECT_EQ(32 % (layout.data * layout.micro_batch), 0);
    EXPECT_LE(layout.tensor, 4);  // of a host
    schedules.insert(layout.schedule);
    tensors.insert(layout.tensor);
    chunks.insert(layout.chunks);
  }
  EXPECT_EQ(schedules,
            (std::set<std::string>{"1f1b", "interleaved", "zero_bubble"}));
  EXPECT_EQ(tensors, (std::set<int>{1, 2, 3, 4}));
  EXPECT_EQ(chunks, (std::set<int>{1, 2, 4}));  // of 8 layers
}

TEST(EnumerateLayoutsTest, WithoutAPipelineFewMicroBatchesAreAChoice) {
  const Fixed fixed{.tensor = 1, .pipeline = 1};
  std::set<int64_t> sizes;
  for (const Layout& layout :
       EnumerateLayouts({Config(72), RoundMachine(), 2, fixed})) {
    sizes.insert(layout.micro_batch);
  }
  EXPECT_EQ(sizes, (std::set<int64_t>{1, 2, 4, 8, 9, 12, 18, 36}));
}

TEST(EnumerateLayoutsTest, FewerDevicesWhereTheyMayBeBetter) {
  const Fixed fixed{.tensor = 1, .pipeline = 1, .micro_batch = 1};
  const auto data = [&](RankBy by) {
    std::set<int> found;
    for (const Layout& layout :
         EnumerateLayouts({Config(32), RoundMachine(), 8, fixed, by})) {
      found.insert(layout.data);
    }
    return found;
  };
  EXPECT_EQ(data(RankBy::kTime), (std::set<int>{8}));
  EXPECT_EQ(data(RankBy::kCost), (std::set<int>{1, 2, 4, 8}));
}

}  // namespace
}  // namespace eisbach::plan::enumerate_layouts_test
