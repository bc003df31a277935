#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>

#include "absl/status/status.h"
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
// others in them. What passes while a part is open is of that part. Counts what
// the thread does that made it begin.
class StepClock {
 public:
  // Of a step: busy in each part, then waiting in each.
  static constexpr int kTimes = 2 * kNumStepParts;

  StepClock() = default;
  virtual ~StepClock() = default;
  StepClock(const StepClock&) = delete;
  StepClock& operator=(const StepClock&) = delete;

  // Counts from here on. The calling thread is the one that works.
  absl::Status Begin();
  // Counts no more.
  void End() { worker_ = std::thread::id(); }
  // Writes the seconds since Begin or the last Take: f32 [kTimes] in memory of
  // the device, in the order of its compute stream. An error is one of what
  // was counted.
  virtual absl::Status Take(float* seconds) = 0;

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

 protected:
  // Of the calling thread.
  bool counts() const { return worker_ == std::this_thread::get_id(); }
  StepPart part() const { return part_; }  // that is open

 private:
  void Enter(StepPart part);
  virtual absl::Status Start() = 0;
  // What has passed since Start or the last lap was of the open part.
  virtual void Lap() = 0;

  std::atomic<std::thread::id> worker_{};  // none: it does not count
  StepPart part_ = StepPart::kHost;
};

// For devices whose work the host does: the host's own time, less the waits
// that the rank's tracer knows of. On meta it is the host's time alone.
class HostStepClock final : public StepClock {
 public:
  explicit HostStepClock(const Tracer& tracer) : tracer_(tracer) {}

  absl::Status Take(float* seconds) override;

 private:
  absl::Status Start() override;
  void Lap() override;

  const Tracer& tracer_;
  int64_t since_ns_ = 0;
  int64_t waited_ns_ = 0;                // by the tracer, then
  std::array<int64_t, kTimes> ns_ = {};  // of the parts
};

}  // namespace eisbach
