#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <mutex>

#include "device/cuda/cuda_device.h"
#include "device/cuda/event_pool.h"

namespace eisbach::cuda {

// Puts the times of a GPU's events on the host's clock, by an event of which
// both know the time. Attached to a device, for CudaStream::Stamp.
class CudaClock {
 public:
  static absl::StatusOr<std::unique_ptr<CudaClock>> Make(CudaDevice& device);

  // The first call, and one every ten seconds, waits for the stream.
  absl::StatusOr<std::shared_ptr<Timestamp>> Stamp(CudaStream& stream);

 private:
  friend class CudaTimestamp;

  struct Origin {
    PooledEvent event;
    int64_t ns;  // of Tracer::Now
  };
  // The two clocks read together, within some microseconds.
  static absl::StatusOr<std::shared_ptr<const Origin>> Measure(
      CudaStream& stream);

  std::mutex mutex_;
  std::shared_ptr<const Origin> origin_;
};

}  // namespace eisbach::cuda
