#include "comm/nccl/in_flight.h"

#include <utility>

#include "core/status_macros.h"
#include "device/cuda/status.h"
#include "device/tracer.h"

namespace eisbach::comm {
namespace {

bool IsOver(const cuda::PooledEvent& event) {
  return cudaEventQuery(event.get()) == cudaSuccess;
}

}  // namespace

absl::StatusOr<InFlight::Reached> InFlight::Before(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  EISBACH_RETURN_IF_CUDA(cudaStreamIsCapturing(stream, &status));
  if (status != cudaStreamCaptureStatusNone) return Reached();
  EISBACH_ASSIGN_OR_RETURN(cuda::PooledEvent event, cuda::RecordEvent(stream));
  return Reached(std::move(event));
}

absl::Status InFlight::Add(const CallMark& call, Reached reached,
                           cudaStream_t stream) {
  if (!reached.has_value()) {
    call.Done();
    return absl::OkStatus();
  }
  EISBACH_ASSIGN_OR_RETURN(cuda::PooledEvent passed, cuda::RecordEvent(stream));
  std::lock_guard<std::mutex> lock(mutex_);
  calls_.push_back({call, std::move(reached), std::move(passed)});
  return absl::OkStatus();
}

void InFlight::Look() {
  std::lock_guard<std::mutex> lock(mutex_);
  while (!calls_.empty()) {
    One& one = calls_.front();
    if (one.reached.has_value()) {
      if (!IsOver(*one.reached)) return;
      one.call.Begun(Tracer::Now());
      one.reached.reset();
    }
    if (!IsOver(one.passed)) return;
    one.call.Done();
    calls_.pop_front();
  }
}

}  // namespace eisbach::comm
