// What a CudaDevice knows of captured work.
#include <utility>

#include "core/status_macros.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/cuda_graph.h"
#include "device/cuda/cuda_source.h"
#include "device/cuda/status.h"

namespace eisbach::cuda {

bool CudaDevice::captures_work() const {
  return CachingChosen() == Allocator::Caching::kOn;
}

absl::StatusOr<std::unique_ptr<CapturedWork>> CudaDevice::NewCapturedWork() {
  if (!captures_work()) {
    return absl::UnimplementedError(
        "captured work needs the caching allocator, which "
        "EISBACH_NO_CACHING_ALLOCATOR=1 turns off");
  }
  return std::make_unique<CudaGraph>(
      std::static_pointer_cast<CudaDevice>(shared_from_this()));
}

void CudaDevice::EndCapturedWork() {
  std::lock_guard<std::mutex> lock(parts_mutex_);
  for (CudaGraph* graph : graphs_) graph->End();
}

std::shared_ptr<MemoryPool> CudaDevice::NewPool() {
  auto pool = std::make_shared<MemoryPool>(std::make_unique<CudaSource>());
  std::lock_guard<std::mutex> lock(parts_mutex_);
  std::erase_if(pools_, [](const auto& p) { return p.expired(); });
  pools_.push_back(pool);
  return pool;
}

std::vector<std::shared_ptr<MemoryPool>> CudaDevice::LivingPools() const {
  std::vector<std::shared_ptr<MemoryPool>> living;
  std::lock_guard<std::mutex> lock(parts_mutex_);
  for (const std::weak_ptr<MemoryPool>& pool : pools_) {
    if (auto alive = pool.lock()) living.push_back(std::move(alive));
  }
  return living;
}

void CudaDevice::EnterBody(std::shared_ptr<MemoryPool> pool, bool capturing) {
  body_pool_ = std::move(pool);
  capturing_ = capturing;
  body_thread_ = std::this_thread::get_id();
}

void CudaDevice::LeaveBody() {
  body_thread_ = std::thread::id();
  capturing_ = false;
  body_pool_ = nullptr;
}

bool CudaDevice::in_body() const {
  return body_thread_.load() == std::this_thread::get_id();
}

absl::Status CudaDevice::CheckHostCopy() const {
  if (!in_body() || !capturing_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "a copy between host and device memory cannot be captured: a replay "
      "would find what the host has there by then");
}

absl::Status CudaDevice::JoinStreams() {
  std::lock_guard<std::mutex> lock(parts_mutex_);
  for (CudaStream* stream : streams_) {
    if (stream == compute_.get()) continue;
    bool joins = stream->keeps();
    if (capturing_) {
      cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
      EISBACH_RETURN_IF_CUDA(cudaStreamIsCapturing(stream->handle(), &status));
      joins = status != cudaStreamCaptureStatusNone;
    }
    if (!joins) continue;
    EISBACH_ASSIGN_OR_RETURN(const Event event, stream->Record());
    EISBACH_RETURN_IF_ERROR(compute_->Wait(event));
  }
  return absl::OkStatus();
}

void CudaDevice::Add(CudaGraph* graph) {
  std::lock_guard<std::mutex> lock(parts_mutex_);
  graphs_.insert(graph);
}
void CudaDevice::Forget(CudaGraph* graph) {
  std::lock_guard<std::mutex> lock(parts_mutex_);
  graphs_.erase(graph);
}
void CudaDevice::Add(CudaStream* stream) {
  std::lock_guard<std::mutex> lock(parts_mutex_);
  streams_.insert(stream);
}
void CudaDevice::Forget(CudaStream* stream) {
  std::lock_guard<std::mutex> lock(parts_mutex_);
  streams_.erase(stream);
}

}  // namespace eisbach::cuda
