#include "device/step_clock.h"

#include <gtest/gtest.h>

#include <numeric>
#include <thread>

#include "absl/time/clock.h"
#include "device/tracer.h"
#include "support/status_testing.h"

namespace eisbach::step_clock_test {
namespace {

constexpr int64_t kMs = 1000000;

class StepClockTest : public testing::Test {
 protected:
  double Of(StepPart part) const { return taken_[static_cast<int>(part)]; }
  double Waited(StepPart part) const {
    return taken_[kNumStepParts + static_cast<int>(part)];
  }
  double Total() const {
    return std::accumulate(taken_.begin(), taken_.end(), 0.0);
  }
  double Waited() const {
    return std::accumulate(taken_.begin() + kNumStepParts, taken_.end(), 0.0);
  }
  void Begin() { EISBACH_EXPECT_OK(clock_.Begin()); }
  void Take() { EISBACH_EXPECT_OK(clock_.Take(taken_.data())); }
  void Wait(int64_t ns) {
    tracer_.Add({.kind = SpanKind::kWait, .name = "all_reduce"}, 0, ns);
  }

  Tracer tracer_;
  HostStepClock clock_{tracer_};
  std::array<float, StepClock::kTimes> taken_ = {};
};

TEST_F(StepClockTest, GivesTimeToThePartThatIsOpen) {
  const int64_t begin = Tracer::Now();
  Begin();
  {
    const StepClock::Scope forward(clock_, StepPart::kForward);
    absl::SleepFor(absl::Milliseconds(20));
    const StepClock::Scope reduction(clock_, StepPart::kReduction);
    absl::SleepFor(absl::Milliseconds(10));
  }
  Take();
  const double all = 1e-9 * static_cast<double>(Tracer::Now() - begin);
  EXPECT_GE(Of(StepPart::kForward), 0.02);
  EXPECT_GE(Of(StepPart::kReduction), 0.01);
  EXPECT_EQ(Of(StepPart::kBackward), 0);
  EXPECT_EQ(Waited(), 0);
  EXPECT_LE(Total(), all * (1 + 1e-6));  // f32
  Take();
  EXPECT_EQ(Of(StepPart::kForward), 0);
}

TEST_F(StepClockTest, TakesNoWaitForWork) {
  Begin();
  {
    const StepClock::Scope backward(clock_, StepPart::kBackward);
    absl::SleepFor(absl::Milliseconds(20));
    Wait(8 * kMs);
    const StepClock::Scope reduction(clock_, StepPart::kReduction);
    absl::SleepFor(absl::Milliseconds(20));
    Wait(5 * kMs);
  }
  Take();
  EXPECT_FLOAT_EQ(Waited(StepPart::kBackward), 0.008f);
  EXPECT_FLOAT_EQ(Waited(StepPart::kReduction), 0.005f);
  EXPECT_FLOAT_EQ(Waited(), 0.013f);
  EXPECT_GE(Of(StepPart::kBackward), 0.012);
  // Another thread may wait as well: never for longer than there was time.
  Wait(3600 * 1000 * kMs);
  Take();
  for (float seconds : taken_) EXPECT_GE(seconds, 0);
}

TEST_F(StepClockTest, CountsNothingBeforeItBeginsAndOfOtherThreads) {
  {
    const StepClock::Scope forward(clock_, StepPart::kForward);
    absl::SleepFor(absl::Milliseconds(2));
  }
  Begin();
  std::thread([&] {
    const StepClock::Scope data(clock_, StepPart::kData);
    absl::SleepFor(absl::Milliseconds(2));
  }).join();
  Take();
  EXPECT_EQ(Of(StepPart::kForward), 0);
  EXPECT_EQ(Of(StepPart::kData), 0);
  EXPECT_GE(Of(StepPart::kHost), 0.002);
  clock_.End();
  {
    const StepClock::Scope forward(clock_, StepPart::kForward);
    absl::SleepFor(absl::Milliseconds(2));
  }
  Take();
  EXPECT_EQ(Of(StepPart::kForward), 0);
}

}  // namespace
}  // namespace eisbach::step_clock_test
