#include "device/cuda/cuda_stream.h"

#include <cstdint>
#include <utility>

#include "core/check.h"
#include "core/status_macros.h"
#include "device/cuda/cuda_clock.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/status.h"
#include "device/tracer.h"

namespace eisbach::cuda {

class CudaEvent final : public EventState {
 public:
  // `number`: of what `keeper` was given last before the event.
  CudaEvent(PooledEvent event, cudaStream_t stream,
            std::shared_ptr<Device> device,
            std::shared_ptr<CudaStream::Keeper> keeper, uint64_t number)
      : event_(std::move(event)),
        stream_(stream),
        device_(std::move(device)),
        keeper_(std::move(keeper)),
        number_(number) {}

  bool Done() override {
    return cudaEventQuery(event_.get()) != cudaErrorNotReady ||
           !static_cast<const CudaDevice&>(*device_).failure().ok();
  }
  absl::Status Wait() override {
    const auto& device = static_cast<const CudaDevice&>(*device_);
    EISBACH_RETURN_IF_ERROR(device.failure());
    if (cudaEventQuery(event_.get()) != cudaSuccess) {
      EISBACH_RETURN_IF_CUDA(cudaEventSynchronize(event_.get()));
    }
    return device.failure();
  }
  cudaEvent_t get() const { return event_.get(); }
  cudaStream_t stream() const { return stream_; }
  // The compute stream comes after the event.
  void ReleaseKept() const { keeper_->Release(number_); }

 private:
  const PooledEvent event_;
  const cudaStream_t stream_;
  const std::shared_ptr<Device> device_;
  const std::shared_ptr<CudaStream::Keeper> keeper_;
  const uint64_t number_;
};

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

CudaStream::CudaStream(Device& device, cudaStream_t handle)
    : Stream(device), handle_(handle) {
  static_cast<CudaDevice&>(device).Add(this);
}

CudaStream::~CudaStream() {
  DeviceOf(*this).Forget(this);
  if (keeps()) cudaStreamSynchronize(handle_);
  keeper_->Release(UINT64_MAX);
  cudaStreamDestroy(handle_);
}

absl::StatusOr<Event> CudaStream::Record() {
  EISBACH_ASSIGN_OR_RETURN(PooledEvent event, RecordEvent(handle_));
  uint64_t number = 0;
  {
    std::lock_guard<std::mutex> lock(keeper_->mutex);
    number = keeper_->last;
  }
  return Event(std::make_shared<CudaEvent>(
      std::move(event), handle_, device().shared_from_this(), keeper_, number));
}

absl::Status CudaStream::Wait(const Event& event) {
  if (event.state() == nullptr) return absl::OkStatus();
  // An event of the host (a communicator that moves bytes by itself) has no
  // place in a stream.
  auto* recorded = dynamic_cast<CudaEvent*>(event.state().get());
  const bool computes = this == &device().compute_stream();
  if (recorded == nullptr) {
    std::optional<CudaStepClock::Wait> wait;
    if (computes) wait.emplace(DeviceOf(*this).step_clock());
    return event.Wait();
  }
  {
    std::optional<TraceSpan> span;
    std::optional<CudaStepClock::Wait> wait;
    if (computes && recorded->stream() != handle_) {
      wait.emplace(DeviceOf(*this).step_clock());
      span.emplace(*this, SpanLabel{.kind = SpanKind::kWait,
                                    .name = "wait",
                                    .detail = "other streams"});
    }
    EISBACH_RETURN_IF_CUDA(cudaStreamWaitEvent(handle_, recorded->get(), 0));
  }
  if (computes) recorded->ReleaseKept();
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<Timestamp>> CudaStream::Stamp() {
  EISBACH_ASSIGN_OR_RETURN(CudaClock* const clock,
                           DeviceOf(*this).Attached<CudaClock>());
  return clock->Stamp(*this);
}

absl::Status CudaStream::Synchronize() {
  const CudaDevice& device = DeviceOf(*this);
  EISBACH_RETURN_IF_ERROR(device.failure());
  uint64_t number = 0;
  {
    std::lock_guard<std::mutex> lock(keeper_->mutex);
    number = keeper_->last;
  }
  EISBACH_RETURN_IF_CUDA(cudaStreamSynchronize(handle_));
  keeper_->Release(number);
  return device.failure();
}

absl::Status CudaStream::KeepUntilPassed(
    std::vector<std::shared_ptr<Storage>> storages) {
  if (this == &device().compute_stream()) return absl::OkStatus();
  std::optional<PooledEvent> passed;
  if (!DeviceOf(*this).in_body()) {
    EISBACH_ASSIGN_OR_RETURN(PooledEvent event, RecordEvent(handle_));
    passed.emplace(std::move(event));
  }
  std::deque<Kept> gone;  // freed without the lock
  std::lock_guard<std::mutex> lock(keeper_->mutex);
  std::deque<Kept>& kept = keeper_->kept;
  while (passed.has_value() && !kept.empty() &&
         kept.front().passed.has_value() &&
         cudaEventQuery(kept.front().passed->get()) != cudaErrorNotReady) {
    gone.push_back(std::move(kept.front()));
    kept.pop_front();
  }
  kept.push_back({++keeper_->last, std::move(passed), std::move(storages)});
  return absl::OkStatus();
}

bool CudaStream::keeps() const {
  std::lock_guard<std::mutex> lock(keeper_->mutex);
  return !keeper_->kept.empty();
}

void CudaStream::Keeper::Release(uint64_t last) {
  std::deque<Kept> gone;  // freed without the lock
  std::lock_guard<std::mutex> lock(mutex);
  while (!kept.empty() && kept.front().number <= last) {
    gone.push_back(std::move(kept.front()));
    kept.pop_front();
  }
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
