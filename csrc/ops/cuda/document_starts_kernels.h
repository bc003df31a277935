#pragma once

#include <cuda_runtime_api.h>

namespace eisbach::cuda {

// positions[i] = i % length - starts[i] for i < elements; a start outside
// [0, i % length] is taken for the nearest inside.
cudaError_t LaunchDocumentPositions(const int* starts, long long elements,
                                    long long length, int* positions,
                                    cudaStream_t stream);

}  // namespace eisbach::cuda
