#pragma once

#include <cuda_runtime_api.h>

#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "device/cuda/event_pool.h"
#include "device/storage.h"
#include "device/stream.h"

namespace eisbach::cuda {

// A CUDA stream, and the events recorded in it.
//
// Work given to it starts in order on the GPU; the host only waits in
// Synchronize and in Event::Wait.
class CudaStream final : public Stream {
 public:
  enum class Priority { kNormal, kHigh };

  static absl::StatusOr<std::unique_ptr<CudaStream>> Make(Device& device,
                                                          Priority priority);
  ~CudaStream() override;

  absl::StatusOr<Event> Record() override;
  absl::Status Wait(const Event& event) override;
  absl::Status Synchronize() override;
  std::vector<Event> Dependencies() override;
  absl::Status Append(Event completion) override;

  cudaStream_t handle() const { return handle_; }

  // What has passed is let go of at a later call of this or of Synchronize.
  // While the stream captures nothing is kept: that is the graph's owner's
  // task.
  absl::Status KeepUntilPassed(
      std::vector<std::shared_ptr<Storage>> storages) override;

 private:
  CudaStream(Device& device, cudaStream_t handle)
      : Stream(device), handle_(handle) {}

  using Kept = std::pair<PooledEvent, std::vector<std::shared_ptr<Storage>>>;

  const cudaStream_t handle_;
  std::mutex kept_mutex_;
  std::deque<Kept> kept_;  // in the order of the stream
};

// The CUDA stream behind `stream`, which is one of a cuda device's.
cudaStream_t Handle(const Stream& stream);

}  // namespace eisbach::cuda
