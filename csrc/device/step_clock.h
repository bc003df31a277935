#pragma once

#include <array>
#include <cstdint>
#include <thread>

#include "absl/strings/string_view.h"

namespace eisbach {

class Tracer;

// What a rank may be late in, within a step.
enum class StepPart : uint8_t {
  kHost,       // what is none of the others
  kData,       // has a batch read
  kForward,    // of all micro-batches
  kBackward,   // the same
  kReduction,  // hands gradients over to be summed, and takes their norm
  kOptimizer,  // clips, changes the weights
};
inline constexpr int kNumStepParts = 6;
absl::string_view Name(StepPart part);

// Seconds of each part, by its number.
using StepParts = std::array<double, kNumStepParts>;

// What a rank itself takes for the parts of a step, and how long it waits for
// others in them, which its tracer knows. For devices whose work the host does;
// on others it is the host's time alone. Counts what the thread does that made
// it begin.
class StepClock {
 public:
  explicit StepClock(const Tracer& tracer) : tracer_(tracer) {}

  // Counts from here on. The calling thread is the one that works.
  void Begin();
  // Seconds since Begin or the last Take.
  struct Taken {
    StepParts busy{};
    StepParts waiting{};
  };
  Taken Take();

  // While it lives, what the rank does is of `part`; then of the one before.
  class Scope {
   public:
    Scope(StepClock& clock, StepPart part)
        : clock_(clock), before_(clock.part_) {
      clock_.Enter(part);
    }
    ~Scope() { clock_.Enter(before_); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    StepClock& clock_;
    const StepPart before_;
  };

 private:
  void Enter(StepPart part);
  void Close(int64_t now_ns, int64_t waited_ns);

  const Tracer& tracer_;
  std::thread::id worker_;  // none: it has not begun
  StepPart part_ = StepPart::kHost;
  int64_t since_ns_ = 0;
  int64_t waited_ns_ = 0;  // by the tracer, then
  std::array<int64_t, kNumStepParts> busy_ns_{};
  std::array<int64_t, kNumStepParts> waiting_ns_{};
};

}  // namespace eisbach
