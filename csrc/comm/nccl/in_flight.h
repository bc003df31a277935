#pragma once

#include <cuda_runtime_api.h>

#include <deque>
#include <mutex>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/activity.h"
#include "device/cuda/event_pool.h"

namespace eisbach::comm {

// The calls of a group that the GPU may not have passed: tells the table of
// this rank when the GPU has come to each, and when it has passed it.
// Thread-safe.
class InFlight {
 public:
  // Nothing while work is captured: what replays it gives no calls.
  using Reached = std::optional<cuda::PooledEvent>;

  // Before `stream` is given a call.
  static absl::StatusOr<Reached> Before(cudaStream_t stream);
  // After it was given `call`.
  absl::Status Add(const CallMark& call, Reached reached, cudaStream_t stream);
  // Whoever has time looks what is over.
  void Look();

 private:
  struct One {
    CallMark call;
    Reached reached;  // none once it was
    cuda::PooledEvent passed;
  };

  std::mutex mutex_;
  std::deque<One> calls_;  // in the order in which they are done
};

}  // namespace eisbach::comm
