#include "device/step_clock.h"

#include <algorithm>

#include "device/tracer.h"

namespace eisbach {

absl::string_view Name(StepPart part) {
  switch (part) {
    case StepPart::kHost:
      return "host";
    case StepPart::kData:
      return "data";
    case StepPart::kForward:
      return "forward";
    case StepPart::kBackward:
      return "backward";
    case StepPart::kReduction:
      return "reduction";
    case StepPart::kOptimizer:
      return "optimizer";
  }
  return "?";
}

absl::Status StepClock::Begin() {
  worker_ = std::this_thread::get_id();
  return Start();
}

void StepClock::Enter(StepPart part) {
  if (!counts() || part == part_) return;
  Lap();
  part_ = part;
}

absl::Status HostStepClock::Start() {
  since_ns_ = Tracer::Now();
  waited_ns_ = tracer_.waited_ns();
  ns_.fill(0);
  return absl::OkStatus();
}

void HostStepClock::Lap() {
  const int64_t now_ns = Tracer::Now();
  const int64_t all_waited_ns = tracer_.waited_ns();
  const int64_t spent = now_ns - since_ns_;
  const int64_t waited = std::min(all_waited_ns - waited_ns_, spent);
  ns_[static_cast<int>(part())] += spent - waited;
  ns_[kNumStepParts + static_cast<int>(part())] += waited;
  since_ns_ = now_ns;
  waited_ns_ = all_waited_ns;
}

absl::Status HostStepClock::Take(float* seconds) {
  Lap();
  for (int i = 0; i < kTimes; ++i) {
    seconds[i] = static_cast<float>(1e-9 * static_cast<double>(ns_[i]));
  }
  ns_.fill(0);
  return absl::OkStatus();
}

}  // namespace eisbach
