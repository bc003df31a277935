#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/step_state.h"
#include "ops/decay.h"

namespace eisbach::cuda {

// Of n elements, as ops/average.h states it.
cudaError_t LaunchAverage(const float* master, float* average,
                          const StepState* state, const ops::Decay& decay,
                          long long n, cudaStream_t stream);

}  // namespace eisbach::cuda
