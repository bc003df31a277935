// What a GPU's compute stream takes for the parts of a step, and waits in them.
#include "device/cuda/cuda_step_clock.h"

#include <array>
#include <thread>

#include "absl/time/clock.h"
#include "device/cuda/cuda_device.h"
#include "support/cuda/streams.h"
#include "support/status_testing.h"
#include "tensor/tensor.h"

namespace eisbach::cuda_step_clock_test {
namespace {

using test::Value;

// Seconds of the works below; more than the double takes for all else.
constexpr double kShort = 0.02, kLong = 0.06;

class CudaStepClockTest : public testing::Test {
 protected:
  using Times = std::array<float, StepClock::kTimes>;

  // Keeps a stream for so long, once others have had time to come to where they
  // wait for it: one thread does what all streams do.
  static void Work(Stream& stream, double seconds) {
    const auto make = [seconds] {
      return [seconds, tries = 0]() mutable {
        if (++tries < 40) {
          doubles::WaitsForPeer();
          return false;
        }
        absl::SleepFor(absl::Seconds(seconds));
        return true;
      };
    };
    EXPECT_EQ(doubles::EnqueueMade(cuda::Handle(stream), make), cudaSuccess);
  }
  Times Take() {
    const Tensor row =
        Value(Tensor::Empty({StepClock::kTimes}, DType::kF32, *device_));
    Times times;
    EISBACH_EXPECT_OK(clock_.Take(row.data<float>()));
    EISBACH_EXPECT_OK(
        device_->CopyToHost(times.data(), row.raw(), row.bytes(), compute_));
    EISBACH_EXPECT_OK(compute_.Synchronize());
    return times;
  }
  static double Busy(const Times& times, StepPart part) {
    return times[static_cast<int>(part)];
  }
  static double Waited(const Times& times, StepPart part) {
    return times[kNumStepParts + static_cast<int>(part)];
  }
  static double Waited(const Times& times) {
    double sum = 0;
    for (int i = 0; i < kNumStepParts; ++i) sum += times[kNumStepParts + i];
    return sum;
  }
  // A step whose backward needs what another stream has for it, and has half of
  // it to do meanwhile.
  absl::Status Step() {
    {
      const StepClock::Scope scope(clock_, StepPart::kForward);
      Work(compute_, kShort);
    }
    const StepClock::Scope scope(clock_, StepPart::kBackward);
    EISBACH_ASSIGN_OR_RETURN(const Event made, compute_.Record());
    EISBACH_RETURN_IF_ERROR(other_->Wait(made));
    Work(*other_, kLong);
    EISBACH_ASSIGN_OR_RETURN(const Event arrived, other_->Record());
    EISBACH_RETURN_IF_ERROR(compute_.Wait(arrived));
    Work(compute_, kShort);
    return absl::OkStatus();
  }
  static void ExpectStep(const Times& times) {
    EXPECT_GE(Busy(times, StepPart::kForward), 0.99 * kShort);
    EXPECT_LT(Busy(times, StepPart::kForward), kLong);
    EXPECT_GE(Busy(times, StepPart::kBackward), 0.99 * kShort);
    EXPECT_LT(Busy(times, StepPart::kBackward), kLong);
    EXPECT_GE(Waited(times, StepPart::kBackward), 0.99 * kLong);
    // In a body of captured work the streams are joined at the end.
    EXPECT_LT(Waited(times) - Waited(times, StepPart::kBackward), 0.5 * kShort);
    EXPECT_EQ(Busy(times, StepPart::kReduction), 0);
  }

  std::shared_ptr<Device> device_ = Value(MakeDevice(DeviceType::kCuda));
  Stream& compute_ = device_->compute_stream();
  const std::unique_ptr<Stream> other_ = Value(device_->NewStream());
  StepClock& clock_ = device_->step_clock();
};

TEST_F(CudaStepClockTest, TellsPartsAndWaitsOfTheComputeStream) {
  EISBACH_EXPECT_OK(clock_.Begin());
  EISBACH_EXPECT_OK(Step());
  ExpectStep(Take());
  // What was taken is gone, and what was before Begin does not count.
  EXPECT_EQ(Busy(Take(), StepPart::kForward), 0);
  EISBACH_EXPECT_OK(Step());
  EISBACH_EXPECT_OK(clock_.Begin());
  const Times after = Take();
  EXPECT_EQ(Busy(after, StepPart::kForward), 0);
  EXPECT_EQ(Waited(after), 0);
}

TEST_F(CudaStepClockTest, GoesOnInReplays) {
  EISBACH_EXPECT_OK(clock_.Begin());
  const auto work = Value(device_->NewCapturedWork());
  const auto body = [&] { return Step(); };
  EISBACH_EXPECT_OK(work->Run(body));
  EISBACH_EXPECT_OK(work->Capture(body));
  ExpectStep(Take());
  for (int replay = 0; replay < 3; ++replay) {
    const doubles::Counters before = doubles::counters();
    EISBACH_EXPECT_OK(work->Replay());
    EXPECT_EQ(doubles::counters().launches, before.launches);
    EXPECT_EQ(doubles::counters().host_synchronisations,
              before.host_synchronisations);
    ExpectStep(Take());
  }
  // Two at once are one longer step.
  EISBACH_EXPECT_OK(work->Replay());
  EISBACH_EXPECT_OK(work->Replay());
  EXPECT_GE(Busy(Take(), StepPart::kForward), 1.98 * kShort);
  // Nobody looks any more.
  clock_.End();
  EISBACH_EXPECT_OK(work->Replay());
  EISBACH_EXPECT_OK(compute_.Synchronize());
}

// The host is late: the stream has nothing to do, in the part that is open.
TEST_F(CudaStepClockTest, ALateHostIsBusy) {
  EISBACH_EXPECT_OK(clock_.Begin());
  EISBACH_EXPECT_OK(compute_.Synchronize());
  {
    const StepClock::Scope scope(clock_, StepPart::kData);
    EISBACH_EXPECT_OK(compute_.Synchronize());
    absl::SleepFor(absl::Seconds(kShort));
  }
  const Times times = Take();
  EXPECT_GE(Busy(times, StepPart::kData), 0.99 * kShort);
  EXPECT_EQ(Waited(times), 0);
}

TEST_F(CudaStepClockTest, GivesTheStreamNothingWhereNobodyLooks) {
  const auto launches = [&] {
    const int64_t before = doubles::counters().launches;
    EISBACH_EXPECT_OK(Step());
    EISBACH_EXPECT_OK(compute_.Synchronize());
    return doubles::counters().launches - before;
  };
  EXPECT_EQ(launches(), 0);
  EISBACH_EXPECT_OK(clock_.Begin());
  EXPECT_EQ(launches(), 6);  // into and out of two parts, around one wait
  std::thread([&] { EXPECT_EQ(launches(), 0); }).join();
  clock_.End();
  EXPECT_EQ(launches(), 0);
}

}  // namespace
}  // namespace eisbach::cuda_step_clock_test
