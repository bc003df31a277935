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

void StepClock::Begin() {
  worker_ = std::this_thread::get_id();
  since_ns_ = Tracer::Now();
  waited_ns_ = tracer_.waited_ns();
  busy_ns_.fill(0);
  waiting_ns_.fill(0);
}

void StepClock::Close(int64_t now_ns, int64_t waited_ns) {
  const int64_t spent = now_ns - since_ns_;
  const int64_t waited = std::min(waited_ns - waited_ns_, spent);
  busy_ns_[static_cast<int>(part_)] += spent - waited;
  waiting_ns_[static_cast<int>(part_)] += waited;
  since_ns_ = now_ns;
  waited_ns_ = waited_ns;
}

void StepClock::Enter(StepPart part) {
  if (worker_ != std::this_thread::get_id()) return;
  if (part == part_) return;
  Close(Tracer::Now(), tracer_.waited_ns());
  part_ = part;
}

StepClock::Taken StepClock::Take() {
  Close(Tracer::Now(), tracer_.waited_ns());
  Taken taken;
  for (int i = 0; i < kNumStepParts; ++i) {
    taken.busy[i] = 1e-9 * static_cast<double>(busy_ns_[i]);
    taken.waiting[i] = 1e-9 * static_cast<double>(waiting_ns_[i]);
  }
  busy_ns_.fill(0);
  waiting_ns_.fill(0);
  return taken;
}

}  // namespace eisbach
