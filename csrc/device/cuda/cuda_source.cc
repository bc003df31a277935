#include "device/cuda/cuda_source.h"

#include <cuda_runtime_api.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "device/cuda/status.h"

namespace eisbach::cuda {

absl::StatusOr<void*> CudaSource::Take(size_t bytes) {
  void* data = nullptr;
  // Taking memory is no part of a capture that this thread may be in.
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  EISBACH_RETURN_IF_CUDA(cudaThreadExchangeStreamCaptureMode(&mode));
  const cudaError_t error = cudaMalloc(&data, bytes);
  EISBACH_RETURN_IF_CUDA(cudaThreadExchangeStreamCaptureMode(&mode));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    return absl::ResourceExhaustedError(absl::StrCat(
        "the GPU has no ", bytes >> 20, " MiB more for tensors: ", free >> 20,
        " MiB of ", total >> 20, " MiB are free"));
  }
  EISBACH_RETURN_IF_ERROR(Status(error, "cudaMalloc"));
  return data;
}

void CudaSource::Give(void* data, size_t) { cudaFree(data); }

Allocator::Caching CachingChosen() {
  const char* off = std::getenv("EISBACH_NO_CACHING_ALLOCATOR");
  return off != nullptr && off[0] == '1' ? Allocator::Caching::kOff
                                         : Allocator::Caching::kOn;
}

}  // namespace eisbach::cuda
