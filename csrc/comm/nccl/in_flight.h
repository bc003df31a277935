#pragma once

#include <cuda_runtime_api.h>

#include <deque>
#include <mutex>

#include "absl/status/status.h"
#include "comm/activity.h"
#include "device/cuda/event_pool.h"

namespace eisbach::comm {

// The calls of a group that the GPU may not have passed: tells the table of
// this rank when it has. Thread-safe.
class InFlight {
 public:
  // After `stream` was given a call. One that is captured is over at once: what
  // replays it gives no calls.
  absl::Status Add(const CallMark& call, cudaStream_t stream);
  // Whoever has time looks what is over.
  void Look();

 private:
  struct One {
    CallMark call;
    cuda::PooledEvent passed;
  };

  std::mutex mutex_;
  std::deque<One> calls_;  // in the order in which they are done
};

}  // namespace eisbach::comm
