#include "device/cuda/event_pool.h"

#include <mutex>
#include <vector>

#include "device/cuda/status.h"

namespace eisbach::cuda {
namespace {

// Lives as long as the process: events may outlive every device.
struct Pool {
  std::mutex mutex;
  std::vector<cudaEvent_t> free;
};

Pool& ThePool() {
  static Pool* const pool = new Pool;
  return *pool;
}

}  // namespace

PooledEvent::~PooledEvent() {
  if (event_ == nullptr) return;
  Pool& pool = ThePool();
  std::lock_guard<std::mutex> lock(pool.mutex);
  pool.free.push_back(event_);
}

absl::StatusOr<PooledEvent> TakeEvent() {
  Pool& pool = ThePool();
  {
    std::lock_guard<std::mutex> lock(pool.mutex);
    if (!pool.free.empty()) {
      PooledEvent event(pool.free.back());
      pool.free.pop_back();
      return event;
    }
  }
  cudaEvent_t event = nullptr;
  EISBACH_RETURN_IF_CUDA(
      cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  return PooledEvent(event);
}

}  // namespace eisbach::cuda
