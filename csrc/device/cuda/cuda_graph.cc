#include "device/cuda/cuda_graph.h"

#include <utility>

#include "core/status_macros.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/status.h"

namespace eisbach::cuda {
namespace {

// The calling thread runs a body of captured work.
class BodyScope {
 public:
  BodyScope(CudaDevice& device, const std::shared_ptr<MemoryPool>& pool,
            bool capturing)
      : device_(device) {
    device_.EnterBody(pool, capturing);
  }
  ~BodyScope() { device_.LeaveBody(); }
  BodyScope(const BodyScope&) = delete;
  BodyScope& operator=(const BodyScope&) = delete;

 private:
  CudaDevice& device_;
};

}  // namespace

CudaGraph::CudaGraph(std::shared_ptr<CudaDevice> device)
    : device_(std::move(device)), pool_(device_->NewPool()) {
  device_->Add(this);
}

CudaGraph::~CudaGraph() {
  device_->Forget(this);
  End();
}

absl::Status CudaGraph::Run(Body body) {
  const BodyScope scope(*device_, pool_, /*capturing=*/false);
  absl::Status status = body();
  status.Update(device_->JoinStreams());
  return status;
}

absl::Status CudaGraph::Capture(Body body) {
  if (captured_) {
    return absl::FailedPreconditionError("work is captured once");
  }
  pool_->allocator().ResetPeak();
  cudaGraph_t graph = nullptr;
  const absl::Status status = CaptureInto(&graph, body);
  if (!status.ok()) {
    if (graph != nullptr) cudaGraphDestroy(graph);
    return status;
  }
  std::lock_guard<std::mutex> lock(mutex_);
  const cudaError_t error = cudaGraphInstantiate(&exec_, graph, 0);
  cudaGraphDestroy(graph);
  EISBACH_RETURN_IF_ERROR(Status(error, "cudaGraphInstantiate"));
  pool_->HoldPeak();
  captured_ = true;
  return absl::OkStatus();
}

absl::Status CudaGraph::CaptureInto(cudaGraph_t* graph, Body body) {
  const BodyScope scope(*device_, pool_, /*capturing=*/true);
  const cudaStream_t stream = Handle(device_->compute_stream());
  EISBACH_RETURN_IF_CUDA(
      cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  absl::Status status = body();
  status.Update(device_->JoinStreams());
  // Also after an error: the streams must work on.
  status.Update(
      Status(cudaStreamEndCapture(stream, graph), "cudaStreamEndCapture"));
  return status;
}

absl::Status CudaGraph::Replay() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (exec_ == nullptr) {
    EISBACH_RETURN_IF_ERROR(device_->failure());
    return absl::FailedPreconditionError(
        captured_ ? "captured work has ended with the communicators it calls"
                  : "a replay before the capture");
  }
  EISBACH_RETURN_IF_CUDA(
      cudaGraphLaunch(exec_, Handle(device_->compute_stream())));
  return absl::OkStatus();
}

void CudaGraph::End() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (exec_ == nullptr) return;
  // A replay may be under way. One that waits for a peer that is gone never
  // ends.
  if (device_->failure().ok()) {
    cudaStreamSynchronize(Handle(device_->compute_stream()));
  }
  cudaGraphExecDestroy(std::exchange(exec_, nullptr));
}

}  // namespace eisbach::cuda
