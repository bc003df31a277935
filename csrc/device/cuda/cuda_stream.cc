#include "device/cuda/cuda_stream.h"

#include <utility>

#include "core/check.h"
#include "core/status_macros.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/status.h"
#include "device/tracer.h"

namespace eisbach::cuda {
namespace {

class CudaEvent final : public EventState {
 public:
  CudaEvent(PooledEvent event, std::shared_ptr<Device> device)
      : event_(std::move(event)), device_(std::move(device)) {}

  bool Done() override {
    return cudaEventQuery(event_.get()) != cudaErrorNotReady ||
           !static_cast<const CudaDevice&>(*device_).failure().ok();
  }
  absl::Status Wait() override {
    const auto& device = static_cast<const CudaDevice&>(*device_);
    EISBACH_RETURN_IF_ERROR(device.failure());
    EISBACH_RETURN_IF_CUDA(cudaEventSynchronize(event_.get()));
    return device.failure();
  }
  cudaEvent_t get() const { return event_.get(); }

 private:
  const PooledEvent event_;
  const std::shared_ptr<Device> device_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CudaStream>> CudaStream::Make(
    Device& device, Priority priority) {
  int least = 0, greatest = 0;
  EISBACH_RETURN_IF_CUDA(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  cudaStream_t handle = nullptr;
  EISBACH_RETURN_IF_CUDA(cudaStreamCreateWithPriority(
      &handle, cudaStreamNonBlocking,
      priority == Priority::kHigh ? greatest : least));
  return std::unique_ptr<CudaStream>(new CudaStream(device, handle));
}

CudaStream::~CudaStream() {
  if (!kept_.empty()) cudaStreamSynchronize(handle_);
  cudaStreamDestroy(handle_);
}

absl::StatusOr<Event> CudaStream::Record() {
  EISBACH_ASSIGN_OR_RETURN(PooledEvent event, TakeEvent());
  EISBACH_RETURN_IF_CUDA(cudaEventRecord(event.get(), handle_));
  return Event(std::make_shared<CudaEvent>(std::move(event),
                                           device().shared_from_this()));
}

absl::Status CudaStream::Wait(const Event& event) {
  if (event.state() == nullptr) return absl::OkStatus();
  // An event of the host (a communicator that moves bytes by itself) has no
  // place in a stream.
  auto* recorded = dynamic_cast<CudaEvent*>(event.state().get());
  if (recorded == nullptr) return event.Wait();
  EISBACH_RETURN_IF_CUDA(cudaStreamWaitEvent(handle_, recorded->get(), 0));
  return absl::OkStatus();
}

absl::Status CudaStream::Synchronize() {
  const CudaDevice& device = DeviceOf(*this);
  EISBACH_RETURN_IF_ERROR(device.failure());
  std::deque<Kept> passed;
  {
    std::lock_guard<std::mutex> lock(kept_mutex_);
    passed.swap(kept_);
  }
  EISBACH_RETURN_IF_CUDA(cudaStreamSynchronize(handle_));
  return device.failure();
}

absl::Status CudaStream::KeepUntilPassed(
    std::vector<std::shared_ptr<Storage>> storages) {
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  EISBACH_RETURN_IF_CUDA(cudaStreamIsCapturing(handle_, &capture));
  if (capture != cudaStreamCaptureStatusNone) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(PooledEvent event, TakeEvent());
  EISBACH_RETURN_IF_CUDA(cudaEventRecord(event.get(), handle_));
  std::deque<Kept> passed;  // freed without the lock
  std::lock_guard<std::mutex> lock(kept_mutex_);
  while (!kept_.empty() &&
         cudaEventQuery(kept_.front().first.get()) != cudaErrorNotReady) {
    passed.push_back(std::move(kept_.front()));
    kept_.pop_front();
  }
  kept_.emplace_back(std::move(event), std::move(storages));
  return absl::OkStatus();
}

std::vector<Event> CudaStream::Dependencies() {
  absl::StatusOr<Event> event = Record();
  if (!event.ok()) return {};
  return {*std::move(event)};
}

absl::Status CudaStream::Append(Event completion) { return Wait(completion); }

cudaStream_t Handle(const Stream& stream) {
  EISBACH_CHECK(stream.device().type() == DeviceType::kCuda);
  return static_cast<const CudaStream&>(stream).handle();
}

}  // namespace eisbach::cuda
