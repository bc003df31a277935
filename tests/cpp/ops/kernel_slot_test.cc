#include "ops/kernel_slot.h"

#include "support/op_testing.h"

namespace eisbach::ops {
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
  test::CostRecorder recorder(test::Cpu());
  int x = 4, y = 0;
  EISBACH_ASSERT_OK(slot.Run({x, y}, OpCost{1, 2, 3}, test::CpuStream()));
  EXPECT_EQ(y, 8);
  ASSERT_EQ(recorder.ops.size(), 1);
  EXPECT_EQ(recorder.ops[0].first, "double");
  EXPECT_EQ(recorder.ops[0].second.flops, 1);
  EXPECT_EQ(recorder.ops[0].second.bytes_read, 2);
  EXPECT_EQ(recorder.ops[0].second.bytes_written, 3);
}

TEST(KernelSlotTest, MissingKernelIsUnimplementedAndNamesOpAndDevice) {
  DoubleKernel slot("double");
  int x = 4, y = 0;
  EXPECT_THAT(slot.Run({x, y}, OpCost{}, test::CpuStream()),
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
}

}  // namespace
}  // namespace eisbach::ops
