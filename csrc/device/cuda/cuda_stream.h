#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
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
  absl::StatusOr<std::shared_ptr<Timestamp>> Stamp() override;
  std::vector<Event> Dependencies() override;
  absl::Status Append(Event completion) override;

  cudaStream_t handle() const { return handle_; }

  // On the compute stream there is nothing to do. On others memory is kept
  // until the compute stream has been told to wait for a later event of this
  // one, or Synchronize; or, between bodies of captured work, until a later
  // call of this finds that the stream has passed.
  absl::Status KeepUntilPassed(
      std::vector<std::shared_ptr<Storage>> storages) override;
  bool keeps() const;

 private:
  friend class CudaEvent;

  struct Kept {
    uint64_t number;
    std::optional<PooledEvent> passed;  // none in bodies of captured work
    std::vector<std::shared_ptr<Storage>> storages;
  };
  // Events hold on to it, and may outlive the stream.
  struct Keeper {
    mutable std::mutex mutex;
    std::deque<Kept> kept;  // in the order of the stream
    uint64_t last = 0;

    // Lets go of what has a number up to `last`.
    void Release(uint64_t last);
  };

  CudaStream(Device& device, cudaStream_t handle);

  const cudaStream_t handle_;
  const std::shared_ptr<Keeper> keeper_ = std::make_shared<Keeper>();
};

// The CUDA stream behind `stream`, which is one of a cuda device's.
cudaStream_t Handle(const Stream& stream);

}  // namespace eisbach::cuda
