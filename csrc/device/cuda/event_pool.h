#pragma once

#include <cuda_runtime_api.h>

#include <utility>

#include "absl/status/statusor.h"

namespace eisbach::cuda {

// An event without timing, which goes back to the pool with its owner: creating
// one costs more than recording it.
class PooledEvent {
 public:
  explicit PooledEvent(cudaEvent_t event) : event_(event) {}
  PooledEvent(PooledEvent&& other) noexcept
      : event_(std::exchange(other.event_, nullptr)) {}
  PooledEvent& operator=(PooledEvent&&) = delete;
  ~PooledEvent();

  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_;
};

absl::StatusOr<PooledEvent> TakeEvent();

}  // namespace eisbach::cuda
