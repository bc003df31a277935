#include "train/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/status_testing.h"

namespace eisbach::train::profile_test {
namespace {

constexpr int64_t kMs = 1'000'000;

Span Make(SpanKind kind, const std::string& name, int64_t begin_ms,
          int64_t end_ms) {
  return {.kind = kind,
          .name = name,
          .begin_ns = begin_ms * kMs,
          .end_ns = end_ms * kMs};
}

Span Op(const std::string& name, OpClass op_class, int64_t begin_ms,
        int64_t end_ms, double flops, double bytes) {
  Span span = Make(SpanKind::kOp, name, begin_ms, end_ms);
  span.op_class = op_class;
  span.flops = flops;
  span.bytes = bytes;
  return span;
}

// Two steps from 100 to 200 ms: half of it products, a twentieth attention, a
// fifth waits.
RankTrace Example(int rank) {
  RankTrace trace{.rank = rank,
                  .peak = {.f32_flops = 2e9, .bf16_flops = 8e9, .bytes = 4e9}};
  trace.spans = {
      Op("before", OpClass::kMatmul, 50, 60, 1, 1),
      Make(SpanKind::kStep, "step 3", 100, 150),
      Make(SpanKind::kAction, "F0", 100, 140),
      Op("matmul", OpClass::kMatmul, 100, 120, 2e7, 1e6),
      Op("gelu", OpClass::kOther, 120, 130, 1e6, 2e7),
      Make(SpanKind::kStep, "step 4", 150, 200),
      Op("matmul", OpClass::kMatmul, 150, 180, 3e7, 1e6),
      Op("attention_forward", OpClass::kAttention, 180, 185, 1e6, 1e6),
  };
  for (const SpanKind kind : {SpanKind::kCollective, SpanKind::kWait}) {
    Span span = Make(kind, "all_reduce", 130, 150);
    span.detail = "data";
    if (kind == SpanKind::kCollective) {
      span.bytes = 1e6;
      span.end_ns += 5 * kMs;  // the rest of it runs behind
    }
    trace.spans.push_back(span);
  }
  return trace;
}

TEST(ProfileTest, SharesOfTheStepsLeaveNothingOut) {
  const Profile profile =
      test::Value(Summarise({Example(0), Example(1)}, DType::kF32));
  EXPECT_EQ(profile.steps, 2);
  EXPECT_DOUBLE_EQ(profile.step_seconds, 0.05);
  EXPECT_NEAR(profile.shares.matmul, 0.5, 1e-12);
  EXPECT_NEAR(profile.shares.attention, 0.05, 1e-12);
  EXPECT_NEAR(profile.shares.exposed_communication, 0.2, 1e-12);
  EXPECT_NEAR(profile.shares.other, 0.25, 1e-12);
}

TEST(ProfileTest, OpsAreSummedAndHeldAgainstThePeak) {
  const Profile profile =
      test::Value(Summarise({Example(0), Example(1)}, DType::kF32));
  ASSERT_EQ(profile.ops.size(), 3);
  const OpRow& matmul = profile.ops[0];
  EXPECT_EQ(matmul.name, "matmul");
  EXPECT_EQ(matmul.calls, 4);
  EXPECT_NEAR(matmul.seconds, 0.1, 1e-12);
  EXPECT_NEAR(matmul.share, 0.5, 1e-12);
  EXPECT_NEAR(matmul.flops_per_second, 1e9, 1e-3);  // 1e8 in 0.1 s
  EXPECT_NEAR(matmul.bytes_per_second, 4e7, 1e-3);
  EXPECT_NEAR(matmul.of_peak(), 0.5, 1e-9);
  EXPECT_EQ(matmul.bound(), "compute");
  const OpRow& gelu = profile.ops[1];
  EXPECT_EQ(gelu.name, "gelu");
  EXPECT_NEAR(gelu.of_peak(), 0.5, 1e-9);  // 2e9 bytes a second of 4e9
  EXPECT_EQ(gelu.bound(), "memory");
}

TEST(ProfileTest, ThePeakIsThatOfTheComputeType) {
  const Profile profile = test::Value(Summarise({Example(0)}, DType::kBF16));
  EXPECT_NEAR(profile.ops[0].of_peak(), 1e9 / 8e9, 1e-9);
}

TEST(ProfileTest, CollectivesTellWhatOfThemIsExposed) {
  const Profile profile =
      test::Value(Summarise({Example(0), Example(1)}, DType::kF32));
  ASSERT_EQ(profile.collectives.size(), 1);
  const CollectiveRow& row = profile.collectives[0];
  EXPECT_EQ(row.name, "all_reduce");
  EXPECT_EQ(row.group, "data");
  EXPECT_EQ(row.calls, 2);
  EXPECT_EQ(row.bytes, 2e6);
  EXPECT_NEAR(row.seconds, 0.05, 1e-12);
  EXPECT_NEAR(row.exposed_seconds, 0.04, 1e-12);
}

TEST(ProfileTest, ATraceWithoutAStepIsAnError) {
  RankTrace trace{.rank = 1};
  EXPECT_THAT(Summarise({Example(0), trace}, DType::kF32),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "rank 1 recorded no step"));
}

}  // namespace
}  // namespace eisbach::train::profile_test
