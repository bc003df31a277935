// What a GPU's streams tell of the times of their work.
#include <gmock/gmock.h>

#include "device/cuda/cuda_device.h"
#include "device/tracer.h"
#include "support/status_testing.h"
#include "tensor/tensor.h"

namespace eisbach::trace_test {
namespace {

using test::Value;
using ::testing::ElementsAre;

class CudaTraceTest : public testing::Test {
 protected:
  absl::Status Work(Stream& stream) {
    return device_->SetZero(x_.raw(), x_.bytes(), stream);
  }
  void Traced(absl::string_view name, Stream& stream) {
    const TraceSpan span(stream, {.kind = SpanKind::kOp, .name = name});
    EISBACH_EXPECT_OK(Work(stream));
  }

  std::shared_ptr<Device> device_ = Value(MakeDevice(DeviceType::kCuda));
  Stream& compute_ = device_->compute_stream();
  Tracer& tracer_ = device_->tracer();
  Tensor x_ = Value(Tensor::Empty({1024}, DType::kF32, *device_));
};

TEST_F(CudaTraceTest, SpansAreOnTheClockOfTheHostAndInTheOrderOfTheStream) {
  Traced("before", compute_);
  tracer_.StartRecording();
  const int64_t begin = Tracer::Now();
  {
    const TraceSpan outer(compute_, {.kind = SpanKind::kStep, .name = "step"});
    Traced("first", compute_);
    Traced("second", compute_);
  }
  const std::vector<Span> spans = Value(tracer_.StopRecording());
  const int64_t end = Tracer::Now();
  Traced("after", compute_);
  std::vector<std::string> names;
  for (const Span& span : spans) {
    names.push_back(span.name);
    EXPECT_LE(span.begin_ns, span.end_ns);
    EXPECT_GE(span.begin_ns, begin);
    EXPECT_LE(span.end_ns, end);
  }
  ASSERT_THAT(names, ElementsAre("step", "first", "second"));
  EXPECT_LE(spans[0].begin_ns, spans[1].begin_ns);
  EXPECT_LE(spans[1].end_ns, spans[2].begin_ns);
  EXPECT_LE(spans[2].end_ns, spans[0].end_ns);
  tracer_.StartRecording();
  EXPECT_TRUE(Value(tracer_.StopRecording()).empty());
}

TEST_F(CudaTraceTest, TheComputeStreamTellsHowLongItWaitsForOthers) {
  const std::unique_ptr<Stream> other = Value(device_->NewStream());
  tracer_.StartRecording();
  Traced("elsewhere", *other);
  const Event done = Value(other->Record());
  const Event own = Value(compute_.Record());
  EISBACH_EXPECT_OK(other->Wait(own));
  EISBACH_EXPECT_OK(compute_.Wait(own));
  EISBACH_EXPECT_OK(compute_.Wait(done));
  std::vector<Span> waits;
  for (Span& span : Value(tracer_.StopRecording())) {
    if (span.kind == SpanKind::kWait) waits.push_back(std::move(span));
  }
  ASSERT_EQ(waits.size(), 1);
  EXPECT_EQ(waits[0].name, "wait");
  EXPECT_EQ(waits[0].detail, "other streams");
}

TEST_F(CudaTraceTest, ADeviceThatFailedHasNoTimes) {
  tracer_.StartRecording();
  Traced("op", compute_);
  static_cast<cuda::CudaDevice&>(*device_).Fail(absl::AbortedError("gone"));
  EXPECT_THAT(tracer_.StopRecording(),
              test::StatusIs(absl::StatusCode::kAborted, "gone"));
}

}  // namespace
}  // namespace eisbach::trace_test
