#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// ops/xielu.h over n contiguous elements; alpha_p and alpha_n are one each, of
// the same type.
cudaError_t LaunchXieluForward(Type type, const void* x, const void* alpha_p,
                               const void* alpha_n, void* y, long long n,
                               cudaStream_t stream);

// The blocks of the backward pass: they depend on n alone.
int XieluBackwardBlocks(long long n);

// dx, and of each block the sums for alpha_p, then of all blocks those for
// alpha_n: partial is f32 [2][blocks].
cudaError_t LaunchXieluBackward(Type type, const void* dy, const void* x,
                                const void* alpha_p, const void* alpha_n,
                                void* dx, float* partial, long long n,
                                cudaStream_t stream);

}  // namespace eisbach::cuda
