#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// Softmax over rows of [rows, width] and its gradient from y, as ops/softmax.h
// states them. A row is read once and kept in registers: up to 16384 f32, 32768
// of 16 bits or 8192 of rows that are not aligned, backward half of that; wider
// ones are read again from caches.
cudaError_t LaunchSoftmaxForward(Type type, const void* x, void* y,
                                 long long rows, long long width,
                                 cudaStream_t stream);
cudaError_t LaunchSoftmaxBackward(Type type, const void* dy, const void* y,
                                  void* dx, long long rows, long long width,
                                  cudaStream_t stream);

}  // namespace eisbach::cuda
