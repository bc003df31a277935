#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// c[m, n] += bias[n], c row-major with leading dimension ldc: for a bias of
// another dtype than c, which cuBLASLt's epilogue does not take.
cudaError_t LaunchAddBias(Type c_type, Type bias_type, void* c,
                          const void* bias, long long m, long long n,
                          long long ldc, cudaStream_t stream);

}  // namespace eisbach::cuda
