#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/type.h"

namespace eisbach::cuda {

// The launchers of ops/softcap.h, over n elements.
cudaError_t LaunchSoftcap(Type type, void* x, float cap, long long n,
                          cudaStream_t stream);
cudaError_t LaunchSoftcapBackward(Type type, void* dy, const void* y, float cap,
                                  long long n, cudaStream_t stream);

}  // namespace eisbach::cuda
