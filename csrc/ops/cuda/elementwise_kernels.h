#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// c = a + b and x *= factor over n elements; c may be a or b.
cudaError_t LaunchAdd(Type type, const void* a, const void* b, void* c,
                      long long n, cudaStream_t stream);
cudaError_t LaunchScale(Type type, void* x, float factor, long long n,
                        cudaStream_t stream);

}  // namespace eisbach::cuda
