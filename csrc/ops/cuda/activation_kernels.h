#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// ops/activation.h over n contiguous elements; dx may be dy.
cudaError_t LaunchGeluForward(Type type, const void* x, void* y, long long n,
                              cudaStream_t stream);
cudaError_t LaunchGeluBackward(Type type, const void* dy, const void* x,
                               void* dx, long long n, cudaStream_t stream);

// gate_up [rows, 2 width], y and dy [rows, width], contiguous. `gelu`: of the
// gate, else SiLU.
cudaError_t LaunchSwigluForward(Type type, const void* gate_up, void* y,
                                long long rows, long long width, bool gelu,
                                cudaStream_t stream);
cudaError_t LaunchSwigluBackward(Type type, const void* dy, const void* gate_up,
                                 void* dgate_up, long long rows,
                                 long long width, bool gelu,
                                 cudaStream_t stream);

}  // namespace eisbach::cuda
