#pragma once

#include <cuda_runtime_api.h>

#include <memory>
#include <mutex>

#include "device/captured_work.h"
#include "device/cuda/memory_pool.h"

namespace eisbach::cuda {

class CudaDevice;

// Captured work as a CUDA graph.
//
// The capture begins on the compute stream; streams that wait for its events
// join it, and are joined again at its end. Its mode is thread-local: a call of
// this thread that would wait for the device, or free memory, is refused and
// named, while other threads (NCCL's own, the data loader's) go on.
class CudaGraph final : public CapturedWork {
 public:
  explicit CudaGraph(std::shared_ptr<CudaDevice> device);
  ~CudaGraph() override;

  absl::Status Run(Body body) override;
  absl::Status Capture(Body body) override;
  bool captured() const override { return captured_; }
  absl::Status Replay() override;

  // Lets go of the graph, for good. Any thread.
  void End();

 private:
  absl::Status CaptureInto(cudaGraph_t* graph, Body body);

  const std::shared_ptr<CudaDevice> device_;
  const std::shared_ptr<MemoryPool> pool_;
  bool captured_ = false;
  std::mutex mutex_;
  cudaGraphExec_t exec_ = nullptr;
};

}  // namespace eisbach::cuda
