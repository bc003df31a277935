#include "ops/kernel_slot.h"

#include "ops/attention.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "support/op_testing.h"

namespace eisbach::ops::kernel_slot_test {
namespace {

struct DoubleArgs {
  const int& x;
  int& y;
};
using DoubleKernel = KernelSlot<DoubleArgs>;

absl::Status Double(const DoubleArgs& args, Stream&) {
  args.y = 2 * args.x;
  return absl::OkStatus();
}

TEST(KernelSlotTest, RunsTheKernelOfTheDeviceAndRecordsTheCost) {
  DoubleKernel slot("double");
  slot.Register(DeviceType::kCpu, &Double);
  test::CostRecorder recorder(test::TheDevice());
  int x = 4, y = 0;
  EISBACH_ASSERT_OK(slot.Run({x, y}, OpCost{1, 2, 3}, test::TheStream()));
  EXPECT_EQ(y, 8);
  ASSERT_EQ(recorder.ops.size(), 1);
  EXPECT_EQ(recorder.ops[0].first, "double");
  EXPECT_EQ(recorder.ops[0].second.flops, 1);
  EXPECT_EQ(recorder.ops[0].second.bytes_read, 2);
  EXPECT_EQ(recorder.ops[0].second.bytes_written, 3);
}

TEST(KernelSlotTest, ACallIsASpanWithNameAndCost) {
  DoubleKernel slot("double", OpClass::kAttention);
  slot.Register(DeviceType::kCpu, &Double);
  Tracer& tracer = test::TheDevice().tracer();
  const TraceTotals before = tracer.totals();
  tracer.StartRecording();
  int x = 4, y = 0;
  EISBACH_ASSERT_OK(slot.Run({x, y}, OpCost{1, 2, 3}, test::TheStream()));
  const std::vector<Span> spans = test::Value(tracer.StopRecording());
  ASSERT_EQ(spans.size(), 1);
  EXPECT_EQ(spans[0].kind, SpanKind::kOp);
  EXPECT_EQ(spans[0].name, "double");
  EXPECT_EQ(spans[0].op_class, OpClass::kAttention);
  EXPECT_EQ(spans[0].flops, 1);
  EXPECT_EQ(spans[0].bytes, 5);
  EXPECT_NEAR(tracer.totals().attention - before.attention,
              (spans[0].end_ns - spans[0].begin_ns) * 1e-9, 1e-12);
  EXPECT_EQ(tracer.totals().other_ops, before.other_ops);
}

TEST(KernelSlotTest, ProductsAndAttentionAreToldApart) {
  Stream& stream = test::TheStream();
  const auto zeros = [&](const Shape& shape) {
    return test::Value(Tensor::Zeros(shape, DType::kF32, stream));
  };
  Tracer& tracer = test::TheDevice().tracer();
  tracer.StartRecording();
  const Tensor c = zeros({2, 2});
  EISBACH_ASSERT_OK(
      Matmul(zeros({2, 3}), zeros({3, 2}), nullptr, false, c, stream));
  EISBACH_ASSERT_OK(Scale(c, 2, stream));
  const Tensor qkv = zeros({1, 4, 3 * 8});
  EISBACH_ASSERT_OK(
      AttentionForward(qkv, {.heads = 1, .kv_heads = 1, .head_dim = 8}, stream)
          .status());
  const std::vector<Span> spans = test::Value(tracer.StopRecording());
  ASSERT_EQ(spans.size(), 3);
  EXPECT_EQ(spans[0].name, "matmul");
  EXPECT_EQ(spans[0].op_class, OpClass::kMatmul);
  EXPECT_EQ(spans[0].flops, 2 * 2 * 3 * 2);
  EXPECT_EQ(spans[1].op_class, OpClass::kOther);
  EXPECT_EQ(spans[2].op_class, OpClass::kAttention);
}

TEST(KernelSlotTest, MissingKernelIsUnimplementedAndNamesOpAndDevice) {
  DoubleKernel slot("double");
  int x = 4, y = 0;
  EXPECT_THAT(slot.Run({x, y}, OpCost{}, test::TheStream()),
              test::StatusIs(absl::StatusCode::kUnimplemented,
                             "double: no cpu kernel in this build"));
}

TEST(KernelSlotTest, MetaRecordsAndRunsNothing) {
  DoubleKernel slot("double");
  test::CostRecorder recorder(test::Meta());
  int x = 4, y = 0;
  EISBACH_ASSERT_OK(slot.Run({x, y}, OpCost{}, test::MetaStream()));
  EXPECT_EQ(y, 0);
  EXPECT_EQ(recorder.ops.size(), 1);
  EXPECT_EQ(test::Meta().tracer().totals().other_ops, 0);
}

}  // namespace
}  // namespace eisbach::ops::kernel_slot_test
