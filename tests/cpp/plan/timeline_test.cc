#include "plan/timeline.h"

#include <gtest/gtest.h>

#include <set>

#include "cpp/plan/plan_testing.h"
#include "support/status_testing.h"

namespace eisbach::plan::timeline_test {
namespace {

using test::Layout;

train::EngineConfig Config() {
  train::EngineConfig config = test::ToyConfig("llama");
  config.model.context = 64;
  config.global_batch = 8;
  config.micro_batch = 1;
  return config;
}

Timeline On(const train::EngineConfig& config, const Layout& layout) {
  const RecordedStep step = test::Value(
      RecordedStep::Make(config, test::Value(test::MeshOf(layout))));
  return test::Value(MakeTimeline(step, RoundMachine(), {}));
}

TEST(TimelineTest, AStageDoesEveryMicroBatchInTurn) {
  train::EngineConfig config = Config();
  config.pipeline_schedule = "interleaved";
  config.chunks = 2;
  const Timeline timeline = On(config, {1, 1, 2});
  ASSERT_EQ(timeline.stages.size(), 2);
  EXPECT_EQ(timeline.chunks, 2);
  EXPECT_EQ(timeline.micro_batches, 8);
  double last = 0;
  for (const std::vector<StageSpan>& spans : timeline.stages) {
    std::set<std::tuple<std::string, int, int>> done;
    double free = 0;
    int exchanges = 0;
    for (const StageSpan& span : spans) {
      EXPECT_LE(span.begin, span.end);
      last = std::max(last, span.end);
      if (span.kind == "exchange") {
        ++exchanges;
        continue;
      }
      EXPECT_GE(span.begin, free - 1e-12);  // one at a time
      free = span.end;
      EXPECT_LE(span.communication, span.end - span.begin);
      EXPECT_TRUE(
          done.insert({span.kind, span.micro_batch, span.chunk}).second);
    }
    EXPECT_EQ(done.size(), 2 * 2 * timeline.shown + 1);
    EXPECT_TRUE(done.contains({"once", 0, 0}));
    EXPECT_GT(exchanges, 0);
  }
  EXPECT_DOUBLE_EQ(last, timeline.seconds);
}

TEST(TimelineTest, ItTakesWhatIsForetold) {
  for (const Layout& layout :
       {Layout{1, 1, 1}, Layout{2, 1, 1}, Layout{1, 2, 2}}) {
    train::EngineConfig config = Config();
    config.global_batch = 4 * layout.data;
    const Timeline timeline = On(config, layout);
    EXPECT_EQ(timeline.shown, layout.pipeline == 1 ? 2 : 4);
    if (timeline.shown == timeline.micro_batches) {
      EXPECT_NEAR(timeline.seconds, timeline.step_seconds,
                  1e-6 * timeline.seconds);
    } else {
      EXPECT_LT(timeline.seconds, timeline.step_seconds);
    }
  }
}

TEST(TimelineTest, StreamsHaveOpsAndCollectives) {
  const Timeline timeline = On(Config(), {2, 2, 1});
  ASSERT_EQ(timeline.streams.size(), 1);
  const StreamTimeline& streams = timeline.streams[0];
  EXPECT_EQ(streams.stages, std::vector<int>{0});
  EXPECT_EQ(streams.micro_batches, 2);
  std::set<std::string> groups;
  std::map<int, double> free;
  double flops = 0;
  for (const StreamSpan& span : streams.spans) {
    EXPECT_GE(span.begin, free[span.stream] - 1e-12);
    free[span.stream] = span.end;
    groups.insert(span.group);
    flops += span.flops;
  }
  EXPECT_TRUE(groups.contains("tensor"));
  EXPECT_GT(groups.size(), 2);  // gradients too, and the norm
  // Of two micro-batches out of four, the work of one device of two.
  train::EngineConfig config = Config();
  const double tokens = 2.0 * static_cast<double>(config.model.context);
  EXPECT_NEAR(flops, tokens * models::TrainingFlopsPerToken(config.model) / 2,
              0.1 * flops);
}

TEST(TimelineTest, StagesThatAreAlikeShareTheirStreams) {
  train::EngineConfig config = Config();
  config.model.layers = 4;
  const Timeline timeline = On(config, {1, 1, 4});
  ASSERT_EQ(timeline.streams.size(), 3);
  EXPECT_EQ(timeline.streams[1].stages, (std::vector<int>{1, 2}));
}

}  // namespace
}  // namespace eisbach::plan::timeline_test
