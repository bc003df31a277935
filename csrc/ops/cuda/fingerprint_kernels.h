#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// Adds to out the fingerprint of x (ops/fingerprint.h).
cudaError_t LaunchFingerprint(Type type, const void* x, long long n,
                              unsigned long long* out, cudaStream_t stream);

}  // namespace eisbach::cuda
