#include "comm/nccl/in_flight.h"

#include <utility>

#include "core/status_macros.h"
#include "device/cuda/status.h"
#include "device/tracer.h"

namespace eisbach::comm {

absl::Status InFlight::Add(const CallMark& call, cudaStream_t stream) {
  call.Begun(Tracer::Now());
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  EISBACH_RETURN_IF_CUDA(cudaStreamIsCapturing(stream, &status));
  if (status != cudaStreamCaptureStatusNone) {
    call.Done();
    return absl::OkStatus();
  }
  EISBACH_ASSIGN_OR_RETURN(cuda::PooledEvent passed, cuda::TakeEvent());
  EISBACH_RETURN_IF_CUDA(cudaEventRecord(passed.get(), stream));
  std::lock_guard<std::mutex> lock(mutex_);
  calls_.push_back({call, std::move(passed)});
  return absl::OkStatus();
}

void InFlight::Look() {
  std::lock_guard<std::mutex> lock(mutex_);
  while (!calls_.empty() &&
         cudaEventQuery(calls_.front().passed.get()) == cudaSuccess) {
    calls_.front().call.Done();
    calls_.pop_front();
  }
}

}  // namespace eisbach::comm
