// Captured work on the double of the CUDA runtime, which runs a graph in any
// order that the capture allows.
#include "device/captured_work.h"

#include <vector>

#include "device/cuda/cuda_device.h"
#include "device/cuda/portable.h"
#include "support/cuda/streams.h"
#include "support/status_testing.h"
#include "tensor/tensor.h"

namespace eisbach::captured_work_test {
namespace {

using test::StatusIs;
using test::Value;

constexpr int kTries = 50;  // of what chance decides

__global__ void Add(const int* x, int* y, int n) { *y = *x + n; }

class CapturedWorkTest : public testing::Test {
 protected:
  Tensor Empty() { return Value(Tensor::Empty({1}, DType::kI32, *device_)); }
  static int* At(const Tensor& tensor) { return tensor.data<int32_t>(); }

  absl::Status Plus(const Tensor& x, const Tensor& y, int n, Stream& stream) {
    EXPECT_EQ(cuda::Launch({dim3(1), dim3(1), cuda::Handle(stream)}, Add, At(x),
                           At(y), n),
              cudaSuccess);
    return absl::OkStatus();
  }
  void Set(const Tensor& x, int value) {
    EISBACH_EXPECT_OK(device_->CopyToDevice(x.raw(), &value, 4, compute_));
    EISBACH_EXPECT_OK(compute_.Synchronize());
  }
  int Get(const Tensor& x) {
    int value = 0;
    EISBACH_EXPECT_OK(device_->CopyToHost(&value, x.raw(), 4, compute_));
    EISBACH_EXPECT_OK(compute_.Synchronize());
    return value;
  }

  std::shared_ptr<Device> device_ = Value(MakeDevice(DeviceType::kCuda));
  Stream& compute_ = device_->compute_stream();
  Tensor x_ = Empty(), y_ = Empty();
};

TEST_F(CapturedWorkTest, ReplaysReadWhatMemoryHoldsThen) {
  auto work = Value(device_->NewCapturedWork());
  EXPECT_THAT(work->Replay(),
              StatusIs(absl::StatusCode::kFailedPrecondition, "before"));
  const auto body = [&] {
    const Tensor between = Empty();
    EISBACH_EXPECT_OK(Plus(x_, between, 1, compute_));
    return Plus(between, y_, 10, compute_);
  };
  Set(x_, 1);
  EISBACH_EXPECT_OK(work->Run(body));
  EXPECT_EQ(Get(y_), 12);
  Set(y_, 0);
  EISBACH_EXPECT_OK(work->Capture(body));
  EXPECT_TRUE(work->captured());
  EXPECT_EQ(Get(y_), 0);  // nothing has run
  for (int value : {5, 6}) {
    Set(x_, value);
    const doubles::Counters before = doubles::counters();
    EISBACH_EXPECT_OK(work->Replay());
    EXPECT_EQ(doubles::counters().graph_launches, before.graph_launches + 1);
    EXPECT_EQ(doubles::counters().launches, before.launches);
    EXPECT_EQ(Get(y_), value + 11);
  }
}

// What a body has freed is written to by replays, so nobody else has it; it
// counts as in use, and goes with the work.
TEST_F(CapturedWorkTest, ItsMemoryIsItsOwn) {
  const AllocatorStats at_first = device_->memory();
  auto work = Value(device_->NewCapturedWork());
  const void* inside = nullptr;
  const auto body = [&] {
    const Tensor between = Empty();
    inside = between.raw();
    EISBACH_EXPECT_OK(Plus(x_, between, 1, compute_));
    return Plus(between, y_, 0, compute_);
  };
  EISBACH_EXPECT_OK(work->Run(body));
  const void* in_run = inside;
  EISBACH_EXPECT_OK(work->Capture(body));
  EXPECT_EQ(inside, in_run);
  EXPECT_EQ(device_->memory().bytes_in_use, at_first.bytes_in_use + 256);
  EXPECT_GT(device_->memory().bytes_reserved, at_first.bytes_reserved);
  std::vector<Tensor> canaries;
  for (int i = 0; i < 20; ++i) {
    canaries.push_back(Empty());
    EXPECT_NE(canaries.back().raw(), inside);
    Set(canaries.back(), 77);
  }
  Set(x_, 1);
  EISBACH_EXPECT_OK(work->Replay());
  EXPECT_EQ(Get(y_), 2);
  for (const Tensor& canary : canaries) EXPECT_EQ(Get(canary), 77);
  canaries.clear();
  device_->ResetPeakMemory();
  EXPECT_EQ(device_->memory().peak_bytes_in_use, at_first.bytes_in_use + 256);
  work.reset();
  EXPECT_EQ(device_->memory().bytes_in_use, at_first.bytes_in_use);
  EXPECT_EQ(device_->memory().bytes_reserved, at_first.bytes_reserved);
}

// A tensor that another stream reads is not handed on inside the capture
// before the compute stream comes after that stream.
TEST_F(CapturedWorkTest, OtherStreamsKeepTheirTensors) {
  auto other = Value(device_->NewStream());
  for (const bool keep : {true, false}) {
    int wrong = 0;
    for (int i = 0; i < kTries; ++i) {
      Set(x_, i);
      auto work = Value(device_->NewCapturedWork());
      const void *sent_at = nullptr, *next_at = nullptr, *last_at = nullptr;
      const auto body = [&]() -> absl::Status {
        {
          const Tensor sent = Empty();
          sent_at = sent.raw();
          EISBACH_EXPECT_OK(Plus(x_, sent, 1, compute_));
          EISBACH_EXPECT_OK(other->Wait(Value(compute_.Record())));
          EISBACH_EXPECT_OK(Plus(sent, y_, 0, *other));
          if (keep) {
            EISBACH_EXPECT_OK(other->KeepUntilPassed({sent.storage()}));
          }
        }
        {
          const Tensor next = Empty();
          next_at = next.raw();
          EISBACH_EXPECT_OK(Plus(x_, next, 1000, compute_));
        }
        EISBACH_EXPECT_OK(compute_.Wait(Value(other->Record())));
        const Tensor last = Empty();
        last_at = last.raw();
        return Plus(x_, last, 1000, compute_);
      };
      EISBACH_EXPECT_OK(work->Run(body));
      EISBACH_EXPECT_OK(work->Capture(body));
      EXPECT_EQ(next_at != sent_at, keep);
      EXPECT_EQ(last_at, sent_at);
      EISBACH_EXPECT_OK(work->Replay());
      wrong += Get(y_) != i + 1;
    }
    EXPECT_EQ(wrong == 0, keep) << wrong;
  }
}

// A branch that nobody waits for, as the last send of a pipeline stage, is
// joined at the end, and its tensors are let go of.
TEST_F(CapturedWorkTest, BranchesAreJoined) {
  auto other = Value(device_->NewStream());
  auto work = Value(device_->NewCapturedWork());
  std::weak_ptr<Storage> sent;
  const auto body = [&]() -> absl::Status {
    const Tensor tensor = Empty();
    sent = tensor.storage();
    EISBACH_EXPECT_OK(Plus(x_, tensor, 1, compute_));
    EISBACH_EXPECT_OK(other->Wait(Value(compute_.Record())));
    EISBACH_EXPECT_OK(Plus(tensor, y_, 1, *other));
    return other->KeepUntilPassed({tensor.storage()});
  };
  Set(x_, 1);
  EISBACH_EXPECT_OK(work->Run(body));
  EXPECT_TRUE(sent.expired());
  EXPECT_EQ(Get(y_), 3);
  EISBACH_EXPECT_OK(work->Capture(body));
  EXPECT_TRUE(sent.expired());
  Set(x_, 2);
  EISBACH_EXPECT_OK(work->Replay());
  EXPECT_EQ(Get(y_), 4);
}

TEST_F(CapturedWorkTest, WhatCannotBeCapturedIsNamed) {
  auto other = Value(device_->NewStream());
  const Event outside = Value(other->Record());
  int host = 0;
  const std::pair<std::function<absl::Status()>, const char*> calls[] = {
      {[&] { return compute_.Synchronize(); }, "cudaStreamSynchronize"},
      {[&] { return Value(compute_.Record()).Wait(); }, "cudaEventSynchronize"},
      {[&] { return compute_.Wait(outside); }, "cudaStreamWaitEvent"},
      {[&] { return device_->CopyToHost(&host, x_.raw(), 4, compute_); },
       "a copy between host and device memory"},
      {[&] { return device_->CopyToDevice(x_.raw(), &host, 4, compute_); },
       "a copy between host and device memory"},
      {[&] { return device_->AllocateHost(16).status(); }, "cudaMallocHost"},
      // Asking an event gives no error: the capture is lost at its end.
      {[&] {
         Value(compute_.Record()).Done();
         return absl::OkStatus();
       },
       "cudaStreamEndCapture"},
  };
  for (const auto& [call, name] : calls) {
    auto work = Value(device_->NewCapturedWork());
    const absl::Status status = work->Capture([&]() -> absl::Status {
      EISBACH_EXPECT_OK(Plus(x_, y_, 1, compute_));
      return call();
    });
    EXPECT_FALSE(status.ok()) << name;
    EXPECT_THAT(status, StatusIs(status.code(), name));
    EXPECT_FALSE(work->captured());
    // The streams work on.
    Set(x_, 3);
    EISBACH_EXPECT_OK(Plus(x_, y_, 1, compute_));
    EXPECT_EQ(Get(y_), 4);
  }
}

// Memory that a capture needs and no run did comes from the system.
TEST_F(CapturedWorkTest, ACaptureMayNeedMoreMemory) {
  auto work = Value(device_->NewCapturedWork());
  EISBACH_EXPECT_OK(work->Capture([&] {
    const Tensor between = Empty();
    EISBACH_EXPECT_OK(Plus(x_, between, 1, compute_));
    return Plus(between, y_, 1, compute_);
  }));
  Set(x_, 1);
  EISBACH_EXPECT_OK(work->Replay());
  EXPECT_EQ(Get(y_), 3);
}

TEST_F(CapturedWorkTest, EndsWithTheDevicesCommunicators) {
  auto work = Value(device_->NewCapturedWork());
  EISBACH_EXPECT_OK(work->Capture([&] { return Plus(x_, y_, 1, compute_); }));
  EISBACH_EXPECT_OK(work->Replay());
  static_cast<cuda::CudaDevice&>(*device_).EndCapturedWork();
  EXPECT_THAT(work->Replay(),
              StatusIs(absl::StatusCode::kFailedPrecondition, "has ended"));
}

TEST(CapturedWork, OtherDevicesHaveNone) {
  auto cpu = Value(MakeDevice(DeviceType::kCpu));
  EXPECT_FALSE(cpu->captures_work());
  EXPECT_THAT(cpu->NewCapturedWork(),
              StatusIs(absl::StatusCode::kUnimplemented, "device cpu"));
}

}  // namespace
}  // namespace eisbach::captured_work_test
