#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <vector>

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

 private:
  CudaStream(Device& device, cudaStream_t handle)
      : Stream(device), handle_(handle) {}

  const cudaStream_t handle_;
};

// The CUDA stream behind `stream`, which is one of a cuda device's.
cudaStream_t Handle(const Stream& stream);

}  // namespace eisbach::cuda
