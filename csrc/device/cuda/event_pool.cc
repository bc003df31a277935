#include "device/cuda/event_pool.h"

#include <mutex>
#include <vector>

#include "core/status_macros.h"
#include "device/cuda/status.h"

namespace eisbach::cuda {
namespace {

// Lives as long as the process: events may outlive every device.
struct Pool {
  std::mutex mutex;
  std::vector<cudaEvent_t> free;
};

Pool& PoolOf(Timing timing) {
  static Pool* const pools = new Pool[2];
  return pools[timing == Timing::kOn];
}

}  // namespace

PooledEvent::~PooledEvent() {
  if (event_ == nullptr) return;
  Pool& pool = PoolOf(timing_);
  std::lock_guard<std::mutex> lock(pool.mutex);
  pool.free.push_back(event_);
}

absl::StatusOr<PooledEvent> TakeEvent(Timing timing) {
  Pool& pool = PoolOf(timing);
  {
    std::lock_guard<std::mutex> lock(pool.mutex);
    if (!pool.free.empty()) {
      PooledEvent event(pool.free.back(), timing);
      pool.free.pop_back();
      return event;
    }
  }
  cudaEvent_t event = nullptr;
  EISBACH_RETURN_IF_CUDA(cudaEventCreateWithFlags(
      &event,
      timing == Timing::kOn ? cudaEventDefault : cudaEventDisableTiming));
  return PooledEvent(event, timing);
}

absl::StatusOr<PooledEvent> RecordEvent(cudaStream_t stream, Timing timing) {
  EISBACH_ASSIGN_OR_RETURN(PooledEvent event, TakeEvent(timing));
  EISBACH_RETURN_IF_CUDA(cudaEventRecord(event.get(), stream));
  return event;
}

}  // namespace eisbach::cuda
