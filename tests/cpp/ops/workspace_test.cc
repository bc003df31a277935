#include "ops/workspace.h"

#include <gtest/gtest.h>

#include "ops/matmul.h"
#include "support/status_testing.h"

namespace eisbach::ops::workspace_test {
namespace {

// Keeps the cost of the last op.
class LastCost final : public Recorder {
 public:
  explicit LastCost(Device& device) : device_(device) {
    device_.set_recorder(this);
  }
  ~LastCost() override { device_.set_recorder(nullptr); }
  void OnOp(absl::string_view, const OpCost& cost, const Stream&) override {
    last = cost;
  }
  void OnCollective(absl::string_view, absl::string_view, const CollectiveCost&,
                    const Stream&) override {}
  OpCost last;

 private:
  Device& device_;
};

// What a call takes beyond what is there before and after it.
template <typename F>
int64_t TakenBy(Device& device, F&& call) {
  device.ResetPeakMemory();
  const int64_t before = device.memory().peak_bytes_in_use;
  EISBACH_EXPECT_OK(call());
  return device.memory().peak_bytes_in_use - before;
}

TEST(WorkspaceTest, ProductsTakeWhatIsForetold) {
  const auto device = test::Value(MakeDevice(DeviceType::kCpu));
  Stream& stream = device->compute_stream();
  LastCost recorder(*device);
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const int64_t rows : {4, 64, 128, 2500}) {
      const auto zeros = [&](int64_t m, int64_t n, DType type) {
        return test::Value(Tensor::Zeros(Shape{m, n}, type, stream));
      };
      const Tensor x = zeros(rows, 96, dtype), w = zeros(160, 96, dtype);
      const Tensor w_t = test::Value(w.Transpose(0, 1));
      const Tensor y = zeros(rows, 160, dtype);
      const Tensor y_t = test::Value(y.Transpose(0, 1));
      const Tensor dw = zeros(160, 96, DType::kF32);
      const auto expect = [&](const Tensor& a, const Tensor& b, bool accumulate,
                              const Tensor& c) {
        const int64_t taken = TakenBy(*device, [&] {
          return Matmul(a, b, nullptr, accumulate, c, stream);
        });
        const int64_t said =
            WorkspaceBytes("matmul", recorder.last, DeviceType::kCpu);
        // The allocator rounds up to 256 bytes, twice.
        EXPECT_GE(taken, said) << Name(dtype) << " " << rows;
        EXPECT_LE(taken, said + 8192) << Name(dtype) << " " << rows;
      };
      expect(x, w_t, false, y);
      if (rows < 64) continue;  // few rows are forward's alone
      expect(y, w, false, x);
      expect(y_t, x, true, dw);
      expect(y_t, x, false, dw);
    }
  }
}

TEST(WorkspaceTest, WhatNobodyHasToldTakesNone) {
  const OpCost cost{.flops = 2e6,
                    .rows = 100,
                    .columns = 100,
                    .inner = 100,
                    .dtype = DType::kBF16};
  EXPECT_EQ(WorkspaceBytes("matmul", cost, DeviceType::kMeta), 0);
  EXPECT_EQ(WorkspaceBytes("matmul", cost, DeviceType::kCuda), 0);
  EXPECT_EQ(WorkspaceBytes("nothing", cost, DeviceType::kCpu), 0);
}

}  // namespace
}  // namespace eisbach::ops::workspace_test
