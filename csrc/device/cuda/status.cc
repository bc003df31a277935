#include "device/cuda/status.h"

#include "absl/strings/str_cat.h"

namespace eisbach::cuda {

absl::Status Status(cudaError_t error, absl::string_view call) {
  if (error == cudaSuccess) return absl::OkStatus();
  cudaGetLastError();  // it has been seen
  const std::string text =
      absl::StrCat("CUDA: ", cudaGetErrorString(error), " (",
                   cudaGetErrorName(error), ") in ", call);
  switch (error) {
    case cudaErrorMemoryAllocation:
      return absl::ResourceExhaustedError(text);
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(text);
  }
}

}  // namespace eisbach::cuda
