#include "device/tracer.h"

#include <gtest/gtest.h>

#include <thread>

#include "device/device.h"
#include "support/status_testing.h"

namespace eisbach::tracer_test {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

SpanLabel Op(absl::string_view name, OpClass op_class) {
  return {.kind = SpanKind::kOp, .name = name, .op_class = op_class};
}

TEST(TracerTest, TotalsAreKeptByClassOfOpAndByKind) {
  Tracer tracer;
  tracer.Add(Op("matmul", OpClass::kMatmul), 0, kSecond);
  tracer.Add(Op("matmul", OpClass::kMatmul), 5 * kSecond, 6 * kSecond);
  tracer.Add(Op("attention_forward", OpClass::kAttention), 0, 3 * kSecond);
  tracer.Add(Op("gelu", OpClass::kOther), 0, 4 * kSecond);
  tracer.Add({.kind = SpanKind::kWait}, 0, 5 * kSecond);
  tracer.Add({.kind = SpanKind::kCollective}, 0, 6 * kSecond);
  tracer.Add({.kind = SpanKind::kAction}, 0, 100 * kSecond);
  tracer.Add({.kind = SpanKind::kStep}, 0, 100 * kSecond);
  const TraceTotals totals = tracer.totals();
  EXPECT_DOUBLE_EQ(totals.matmul, 2);
  EXPECT_DOUBLE_EQ(totals.attention, 3);
  EXPECT_DOUBLE_EQ(totals.other_ops, 4);
  EXPECT_DOUBLE_EQ(totals.waiting, 5);
  EXPECT_DOUBLE_EQ(totals.collectives, 6);
}

TEST(TracerTest, SpansAreKeptWhileRecordingAndWithAllThatTheyAreAbout) {
  Tracer tracer;
  { const TraceSpan before(tracer, {.kind = SpanKind::kStep}); }
  EXPECT_FALSE(tracer.recording());
  tracer.StartRecording();
  EXPECT_TRUE(tracer.recording());
  {
    const TraceSpan span(tracer, {.kind = SpanKind::kOp,
                                  .name = "matmul",
                                  .detail = "d",
                                  .op_class = OpClass::kMatmul,
                                  .flops = 3,
                                  .bytes = 4,
                                  .index = 5});
  }
  const std::vector<Span> spans = test::Value(tracer.StopRecording());
  { const TraceSpan after(tracer, {.kind = SpanKind::kStep}); }
  ASSERT_EQ(spans.size(), 1);
  const Span& span = spans[0];
  EXPECT_EQ(span.kind, SpanKind::kOp);
  EXPECT_EQ(span.name, "matmul");
  EXPECT_EQ(span.detail, "d");
  EXPECT_EQ(span.op_class, OpClass::kMatmul);
  EXPECT_EQ(span.flops, 3);
  EXPECT_EQ(span.bytes, 4);
  EXPECT_EQ(span.index, 5);
  EXPECT_LE(span.begin_ns, span.end_ns);
  EXPECT_TRUE(test::Value(tracer.StopRecording()).empty());
}

TEST(TracerTest, WhatEnclosesComesBeforeWhatIsInside) {
  Tracer tracer;
  tracer.StartRecording();
  const int64_t now = Tracer::Now();
  tracer.Add({.kind = SpanKind::kOp, .name = "inner"}, now, now + 1);
  tracer.Add({.kind = SpanKind::kOp, .name = "last"}, now + 5, now + 6);
  tracer.Add({.kind = SpanKind::kStep, .name = "outer"}, now, now + 9);
  std::vector<std::string> names;
  for (const Span& span : test::Value(tracer.StopRecording()))
    names.push_back(span.name);
  EXPECT_EQ(names, (std::vector<std::string>{"outer", "inner", "last"}));
}

TEST(TracerTest, SpansThatBeganBeforeTheRecordingAreNotInIt) {
  Tracer tracer;
  {
    const TraceSpan early(tracer, {.kind = SpanKind::kStep, .name = "early"});
    // The clock may not have moved between two reads.
    const int64_t begun = Tracer::Now();
    while (Tracer::Now() == begun) continue;
    tracer.StartRecording();
    const TraceSpan inside(tracer, {.kind = SpanKind::kOp, .name = "inside"});
  }
  const std::vector<Span> spans = test::Value(tracer.StopRecording());
  ASSERT_EQ(spans.size(), 1);
  EXPECT_EQ(spans[0].name, "inside");
}

TEST(TracerTest, ThreadsMayAddAtOnce) {
  Tracer tracer;
  tracer.StartRecording();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const int64_t begin = Tracer::Now();
      for (int n = 0; n < 1000; ++n) {
        tracer.Add({.kind = SpanKind::kWait, .name = "all_reduce"}, begin,
                   begin + kSecond);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_DOUBLE_EQ(tracer.totals().waiting, 4000);
  EXPECT_EQ(test::Value(tracer.StopRecording()).size(), 4000);
}

TEST(TracerTest, DevicesHaveTheirOwn) {
  const auto one = test::Value(MakeDevice(DeviceType::kCpu));
  const auto other = test::Value(MakeDevice(DeviceType::kCpu));
  one->tracer().StartRecording();
  {
    const TraceSpan span(one->compute_stream(), Op("matmul", OpClass::kMatmul));
  }
  EXPECT_EQ(test::Value(one->tracer().StopRecording()).size(), 1);
  EXPECT_EQ(other->tracer().totals().matmul, 0);
}

}  // namespace
}  // namespace eisbach::tracer_test
