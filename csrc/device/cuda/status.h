#pragma once

#include <cuda_runtime_api.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace eisbach::cuda {

// The text of an error of the CUDA runtime with the call that gave it.
// ResourceExhausted when memory is short, Unavailable where there is no device
// or driver, else Internal.
absl::Status Status(cudaError_t error, absl::string_view call);

}  // namespace eisbach::cuda

#define EISBACH_RETURN_IF_CUDA(call)                             \
  do {                                                           \
    const cudaError_t eisbach_cuda_error = (call);               \
    if (eisbach_cuda_error != cudaSuccess) {                     \
      return ::eisbach::cuda::Status(eisbach_cuda_error, #call); \
    }                                                            \
  } while (false)
