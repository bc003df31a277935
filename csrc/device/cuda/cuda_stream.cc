#include "device/cuda/cuda_stream.h"

#include <utility>

#include "core/check.h"
#include "core/status_macros.h"
#include "device/cuda/event_pool.h"
#include "device/cuda/status.h"
#include "device/device.h"
#include "device/tracer.h"

namespace eisbach::cuda {
namespace {

class CudaEvent final : public EventState {
 public:
  CudaEvent(PooledEvent event, std::shared_ptr<Device> device)
      : event_(std::move(event)), device_(std::move(device)) {}

  bool Done() override {
    return cudaEventQuery(event_.get()) != cudaErrorNotReady;
  }
  absl::Status Wait() override {
    EISBACH_RETURN_IF_CUDA(cudaEventSynchronize(event_.get()));
    return absl::OkStatus();
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

CudaStream::~CudaStream() { cudaStreamDestroy(handle_); }

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
  EISBACH_RETURN_IF_CUDA(cudaStreamSynchronize(handle_));
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
