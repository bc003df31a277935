#pragma once

#include "absl/status/status.h"
#include "device/allocator.h"
#include "device/cuda/step_clock_kernels.h"
#include "device/step_clock.h"

namespace eisbach::cuda {

class CudaDevice;

// The step clock of a GPU: its compute stream keeps it. Where a part begins or
// ends, and on both sides of each wait, a kernel of one thread reads the GPU's
// timer and adds what has passed since the one before it to a sum in device
// memory. They are captured and replayed with a step, whose host reads nothing,
// waits for nothing, and may be as many steps ahead as it likes.
//
// What is measured is time of the compute stream.
//   waiting  It has come to where it waits for another stream of this rank, and
//            that is not there yet; or NCCL's kernel runs on it, from when the
//            stream comes to it: peers that are late, and the transfer itself.
//            Communication that is over by the time the stream asks for it
//            counts nothing.
//   busy     All else: kernels, copies, and that it has nothing to do since the
//            host is late (between steps: kHost, or kData while the host has
//            none; within a step that is not replayed: the part that is open).
// A stream that waits for another cannot tell what for: other streams that it
// waits for do nothing but communicate.
//
// The timer is %globaltimer (PTX ISA, special registers): one for the whole
// GPU, in nanoseconds, which it advances by 1 us or less at a time.
class CudaStepClock final : public StepClock {
 public:
  // `memory` and `device` outlive it.
  CudaStepClock(Allocator& memory, CudaDevice& device)
      : memory_(memory), device_(device) {}
  ~CudaStepClock() override;

  absl::Status Take(float* seconds) override;

  // What the compute stream is given while it lives is a wait for others. Of
  // the thread that works; for others it does nothing.
  class Wait {
   public:
    explicit Wait(CudaStepClock& clock) : clock_(clock) {
      clock_.Add(/*waiting=*/false);
    }
    ~Wait() { clock_.Add(/*waiting=*/true); }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

   private:
    CudaStepClock& clock_;
  };

 private:
  absl::Status Start() override;
  void Lap() override { Add(/*waiting=*/false); }
  void Add(bool waiting);
  int Time(bool waiting) const;

  Allocator& memory_;
  CudaDevice& device_;
  // Kept to the end: captured work adds to it whether somebody looks or not.
  StepClockSums* sums_ = nullptr;
  absl::Status status_;  // of the laps
};

}  // namespace eisbach::cuda
