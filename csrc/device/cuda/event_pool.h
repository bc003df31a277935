#pragma once

#include <cuda_runtime_api.h>

#include <utility>

#include "absl/status/statusor.h"

namespace eisbach::cuda {

// Whether an event tells when it was passed, which costs some time.
enum class Timing { kOff, kOn };

// An event that goes back to the pool with its owner: creating one costs more
// than recording it.
class PooledEvent {
 public:
  PooledEvent(cudaEvent_t event, Timing timing)
      : event_(event), timing_(timing) {}
  PooledEvent(PooledEvent&& other) noexcept
      : event_(std::exchange(other.event_, nullptr)), timing_(other.timing_) {}
  PooledEvent& operator=(PooledEvent&&) = delete;
  ~PooledEvent();

  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_;
  Timing timing_;
};

absl::StatusOr<PooledEvent> TakeEvent(Timing timing = Timing::kOff);
// One that `stream` passes when all that it was given so far is done.
absl::StatusOr<PooledEvent> RecordEvent(cudaStream_t stream,
                                        Timing timing = Timing::kOff);

}  // namespace eisbach::cuda
