#include "train/rank_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::train::rank_trace_test {
namespace {

using test::Layout;

// Two recorded steps of every rank of `layout`.
std::vector<RankTrace> TraceOf(const Layout& layout) {
  std::vector<RankTrace> traces;
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(
            world, layout, test::ToyConfig("gpt"),
            [&](Engine& engine) -> absl::Status {
              EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
              world.device().tracer().StartRecording();
              for (int step = 0; step < 2; ++step) {
                EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
              }
              const double rank = world.rank();
              EISBACH_ASSIGN_OR_RETURN(std::vector<RankTrace> gathered,
                                       GatherTraces({.f32_flops = rank + 1,
                                                     .bf16_flops = rank + 2,
                                                     .bytes = rank + 3},
                                                    world.communicator()));
              EXPECT_FALSE(world.device().tracer().recording());
              if (world.rank() == 0) {
                traces = std::move(gathered);
              } else {
                EXPECT_TRUE(gathered.empty());
              }
              return absl::OkStatus();
            });
      }));
  return traces;
}

std::vector<const Span*> OfKind(const RankTrace& trace, SpanKind kind) {
  std::vector<const Span*> found;
  for (const Span& span : trace.spans) {
    if (span.kind == kind) found.push_back(&span);
  }
  return found;
}

bool Encloses(const Span& outer, const Span& inner) {
  return outer.begin_ns <= inner.begin_ns && inner.end_ns <= outer.end_ns;
}

// Every op lies in a slot or in the step's end, every slot in a step.
void ExpectNested(const RankTrace& trace) {
  const auto steps = OfKind(trace, SpanKind::kStep);
  ASSERT_EQ(steps.size(), 2);
  EXPECT_EQ(steps[0]->name, "step 2");
  EXPECT_EQ(steps[1]->index, 3);
  EXPECT_LE(steps[0]->end_ns, steps[1]->begin_ns);
  for (const SpanKind kind : {SpanKind::kOp, SpanKind::kAction}) {
    for (const Span* span : OfKind(trace, kind)) {
      EXPECT_TRUE(Encloses(*steps[0], *span) || Encloses(*steps[1], *span))
          << span->name;
    }
  }
}

TEST(RankTraceTest, EveryRankTellsStepsSlotsOpsAndCollectives) {
  const Layout layout{1, 1, 2};
  const std::vector<RankTrace> traces = TraceOf(layout);
  ASSERT_EQ(traces.size(), 2);
  for (int rank = 0; rank < 2; ++rank) {
    const RankTrace& trace = traces[rank];
    EXPECT_EQ(trace.rank, rank);
    EXPECT_FALSE(trace.host.empty());
    EXPECT_EQ(trace.clock_offset_ns, 0);
    EXPECT_EQ(trace.peak.f32_flops, rank + 1);
    EXPECT_EQ(trace.peak.bf16_flops, rank + 2);
    EXPECT_EQ(trace.peak.bytes, rank + 3);
    ExpectNested(trace);
    // 24 micro-batches, forward and backward, two steps.
    std::map<std::string, int> slots;
    for (const Span* span : OfKind(trace, SpanKind::kAction)) {
      ++slots[span->detail];
      if (span->detail == "forward") {
        EXPECT_EQ(span->name, absl::StrCat("F", span->index));
      }
    }
    EXPECT_EQ(slots["forward"], 48);
    EXPECT_EQ(slots["backward"], 48);
    std::map<std::string, int> groups;
    for (const Span* span : OfKind(trace, SpanKind::kCollective)) {
      ++groups[absl::StrCat(span->name, " ", span->detail)];
    }
    EXPECT_EQ(groups["all_reduce world"], 2);
    EXPECT_GT(groups["exchange pipeline"], 0);
  }
}

TEST(RankTraceTest, WaitsAreApartFromOpsAndFromOneAnother) {
  for (const RankTrace& trace : TraceOf({2, 1, 2})) {
    int64_t last_end = 0;
    for (const Span& span : trace.spans) {
      if (span.kind != SpanKind::kOp && span.kind != SpanKind::kWait) continue;
      EXPECT_GE(span.begin_ns, last_end) << span.name;
      last_end = span.end_ns;
    }
    EXPECT_FALSE(OfKind(trace, SpanKind::kWait).empty());
  }
}

TEST(RankTraceTest, ARankAloneWaitsForNothing) {
  const std::vector<RankTrace> traces = TraceOf({});
  ASSERT_EQ(traces.size(), 1);
  ExpectNested(traces[0]);
  EXPECT_TRUE(OfKind(traces[0], SpanKind::kWait).empty());
  EXPECT_TRUE(OfKind(traces[0], SpanKind::kCollective).empty());
  std::map<std::string, int> slots;
  for (const Span* span : OfKind(traces[0], SpanKind::kAction)) {
    ++slots[span->detail];
  }
  EXPECT_THAT(slots, testing::ElementsAre(testing::Pair("backward", 48),
                                          testing::Pair("forward", 48),
                                          testing::Pair("reduce", 2)));
}

}  // namespace
}  // namespace eisbach::train::rank_trace_test
